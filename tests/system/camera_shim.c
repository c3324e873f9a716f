/* A camera for tests: preloaded, it answers for one device path as a V4L2 driver would.
 *
 * CAMERA_PATH    the device to play, such as /dev/video42
 * CAMERA_FORMAT  MJPG, YUYV (default) or H264; the first and the last send CAMERA_DATA's packets
 * CAMERA_DATA    file of packets, each a 32-bit length and its bytes, sent in a loop
 * CAMERA_STATE   file; its first letter says what the camera does: 'p' plugged in, 'u' unplugged,
 *                's' stalled. A missing file counts as plugged in.
 * Sizes: 640x480, 320x240. Rates: 30, 15.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS_MAX = 8, ROOM = 640 * 480 * 2 };

static int camera = -1;
static unsigned width = 640, height = 480, rate = 30;
static unsigned buffer_count, queue[BUFFERS_MAX], queued, sequence;
static int is_streaming;
static uint8_t *memory;
static struct timespec due;
static FILE *data;

static int (*real_open)(const char *, int, ...);
static int (*real_ioctl)(int, unsigned long, ...);
static int (*real_close)(int);

__attribute__((constructor)) static void find_real(void) {
    real_open = dlsym(RTLD_NEXT, "open64");
    real_ioctl = dlsym(RTLD_NEXT, "ioctl");
    real_close = dlsym(RTLD_NEXT, "close");
}

static int state(void) {
    const char *path = getenv("CAMERA_STATE");
    char letter = 'p';
    int fd = path ? real_open(path, O_RDONLY) : -1;
    if (fd >= 0) {
        if (read(fd, &letter, 1) != 1) letter = 'p';
        real_close(fd);
    }
    return letter;
}

static uint32_t pixel_format(void) {
    const char *name = getenv("CAMERA_FORMAT");
    if (!name) name = "YUYV";
    return v4l2_fourcc(name[0], name[1], name[2], name[3]);
}

static int fail(int number) {
    errno = number;
    return -1;
}

static int open_camera(void) {
    if (state() == 'u') return fail(ENOENT);
    if (camera >= 0) return fail(EBUSY);
    if (getenv("CAMERA_DATA")) data = fopen(getenv("CAMERA_DATA"), "rb");
    is_streaming = 0;
    queued = sequence = 0;
    return camera = memfd_create("camera", 0);
}

static int is_ours(const char *path) {
    const char *wanted = getenv("CAMERA_PATH");
    return path && wanted && !strcmp(path, wanted);
}

#define OPEN(name)                                                     \
    int name(const char *path, int flags, ...) {                       \
        mode_t mode = 0;                                               \
        if (flags & (O_CREAT | O_TMPFILE)) {                           \
            va_list rest;                                              \
            va_start(rest, flags);                                     \
            mode = va_arg(rest, mode_t);                               \
            va_end(rest);                                              \
        }                                                              \
        return is_ours(path) ? open_camera() : real_open(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    if (fd >= 0 && fd == camera) {
        camera = -1;
        if (memory) munmap(memory, (size_t)ROOM * buffer_count);
        memory = NULL;
        if (data) fclose(data);
        data = NULL;
    }
    return real_close(fd);
}

static void describe(struct v4l2_format *format) {
    struct v4l2_pix_format *pix = &format->fmt.pix;
    pix->width = width;
    pix->height = height;
    pix->pixelformat = pixel_format();
    pix->field = V4L2_FIELD_NONE;
    pix->bytesperline = pix->pixelformat == V4L2_PIX_FMT_YUYV ? width * 2 : 0;
    pix->sizeimage = pix->pixelformat == V4L2_PIX_FMT_YUYV ? width * height * 2 : ROOM;
    pix->colorspace = V4L2_COLORSPACE_SRGB;
}

static int set_format(struct v4l2_format *format) {
    if (format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return fail(EINVAL);
    /* Like most drivers: what cannot be had becomes what can. */
    int is_small = format->fmt.pix.width <= 320;
    width = is_small ? 320 : 640;
    height = is_small ? 240 : 480;
    describe(format);
    return 0;
}

static int allocate(struct v4l2_requestbuffers *wanted) {
    if (wanted->memory != V4L2_MEMORY_MMAP) return fail(EINVAL);
    if (memory) munmap(memory, (size_t)ROOM * buffer_count);
    memory = NULL;
    queued = 0;
    buffer_count = wanted->count > BUFFERS_MAX ? BUFFERS_MAX : wanted->count;
    wanted->count = buffer_count;
    if (!buffer_count) return 0;
    if (ftruncate(camera, (off_t)ROOM * buffer_count)) return -1;
    memory = mmap(NULL, (size_t)ROOM * buffer_count, PROT_READ | PROT_WRITE, MAP_SHARED, camera, 0);
    return memory == MAP_FAILED ? -1 : 0;
}

/* Puts the next picture into a buffer: a bright bar that moves on, or the file's next packet. */
static uint32_t fill(uint8_t *buffer) {
    if (!data) {
        for (unsigned y = 0; y < height; y++)
            for (unsigned x = 0; x < width; x++) {
                uint8_t *pixel = buffer + ((size_t)y * width + x) * 2;
                pixel[0] = x / 16 == sequence % (width / 16) ? 200 : 60;
                pixel[1] = 128;
            }
        return width * height * 2;
    }
    uint32_t length;
    if (fread(&length, sizeof length, 1, data) != 1) {
        rewind(data);
        if (fread(&length, sizeof length, 1, data) != 1) return 0;
    }
    if (length > ROOM || fread(buffer, 1, length, data) != length) return 0;
    return length;
}

static int dequeue(struct v4l2_buffer *buffer) {
    int now_is = state();
    if (now_is == 'u') return fail(ENODEV);
    if (!is_streaming) return fail(EINVAL);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t early_ns = (due.tv_sec - now.tv_sec) * 1000000000LL + due.tv_nsec - now.tv_nsec;
    if (now_is == 's' || !queued || early_ns > 0) return fail(EAGAIN);
    due.tv_nsec += 1000000000L / rate;
    due.tv_sec += due.tv_nsec / 1000000000L;
    due.tv_nsec %= 1000000000L;
    unsigned index = queue[0];
    memmove(queue, queue + 1, --queued * sizeof *queue);
    memset(buffer, 0, sizeof *buffer);
    buffer->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer->memory = V4L2_MEMORY_MMAP;
    buffer->index = index;
    buffer->m.offset = index * ROOM;
    buffer->length = ROOM;
    buffer->bytesused = fill(memory + (size_t)index * ROOM);
    buffer->sequence = sequence++;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | V4L2_BUF_FLAG_DONE;
    buffer->timestamp.tv_sec = due.tv_sec;
    buffer->timestamp.tv_usec = due.tv_nsec / 1000;
    if (pixel_format() == V4L2_PIX_FMT_YUYV) buffer->length = buffer->bytesused;
    return 0;
}

static int list_size(struct v4l2_frmsizeenum *size) {
    if (size->index > 1 || size->pixel_format != pixel_format()) return fail(EINVAL);
    size->type = V4L2_FRMSIZE_TYPE_DISCRETE;
    size->discrete.width = size->index ? 320 : 640;
    size->discrete.height = size->index ? 240 : 480;
    return 0;
}

static int list_interval(struct v4l2_frmivalenum *interval) {
    if (interval->index > 1 || interval->pixel_format != pixel_format()) return fail(EINVAL);
    interval->type = V4L2_FRMIVAL_TYPE_DISCRETE;
    interval->discrete.numerator = 1;
    interval->discrete.denominator = interval->index ? 15 : 30;
    return 0;
}

static int set_rate(struct v4l2_streamparm *parameters, int is_set) {
    struct v4l2_captureparm *capture = &parameters->parm.capture;
    struct v4l2_fract *frame = &capture->timeperframe;
    if (is_set && frame->numerator && frame->denominator)
        rate = frame->denominator / frame->numerator <= 15 ? 15 : 30;
    capture->capability = V4L2_CAP_TIMEPERFRAME;
    frame->numerator = 1;
    frame->denominator = rate;
    return 0;
}

static int answer(unsigned long request, void *argument) {
    switch ((uint32_t)request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *ability = argument;
        memset(ability, 0, sizeof *ability);
        strcpy((char *)ability->driver, "shim");
        strcpy((char *)ability->card, "Camera of the tests");
        strcpy((char *)ability->bus_info, "platform:shim");
        ability->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        ability->capabilities = ability->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *format = argument;
        if (format->index || format->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return fail(EINVAL);
        format->pixelformat = pixel_format();
        return 0;
    }
    case VIDIOC_ENUM_FRAMESIZES: return list_size(argument);
    case VIDIOC_ENUM_FRAMEINTERVALS: return list_interval(argument);
    case VIDIOC_ENUMINPUT: return ((struct v4l2_input *)argument)->index ? fail(EINVAL) : 0;
    case VIDIOC_G_INPUT: *(int *)argument = 0; return 0;
    case VIDIOC_S_INPUT: return *(int *)argument ? fail(EINVAL) : 0;
    case VIDIOC_G_FMT: describe(argument); return 0;
    case VIDIOC_TRY_FMT:
    case VIDIOC_S_FMT: return set_format(argument);
    case VIDIOC_G_PARM: return set_rate(argument, 0);
    case VIDIOC_S_PARM: return set_rate(argument, 1);
    case VIDIOC_REQBUFS: return allocate(argument);
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = argument;
        if (buffer->index >= buffer_count) return fail(EINVAL);
        buffer->length = ROOM;
        buffer->m.offset = buffer->index * ROOM;
        buffer->flags = 0;
        return 0;
    }
    case VIDIOC_QBUF: {
        struct v4l2_buffer *buffer = argument;
        if (buffer->index >= buffer_count || queued >= BUFFERS_MAX) return fail(EINVAL);
        queue[queued++] = buffer->index;
        return 0;
    }
    case VIDIOC_STREAMON: is_streaming = 1; clock_gettime(CLOCK_MONOTONIC, &due); return 0;
    case VIDIOC_STREAMOFF: is_streaming = 0; queued = 0; return 0;
    case VIDIOC_DQBUF: return dequeue(argument);
    case VIDIOC_G_STD: return fail(ENOTTY);
    default: return fail(EINVAL);
    }
}

int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (fd >= 0 && fd == camera && (request >> 8 & 0xff) == 'V') return answer(request, argument);
    return real_ioctl(fd, request, argument);
}
