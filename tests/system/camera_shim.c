/* A camera for tests: preloaded, it answers for one device path as a V4L2 driver would.
 *
 * CAMERA_PATH    the device to play, such as /dev/video42
 * CAMERA_FORMAT  MJPG, YUYV (default) or H264; the first and the last send CAMERA_DATA's packets
 * CAMERA_DATA    file of packets, each a 32-bit length and its bytes, sent in a loop
 * CAMERA_STATE   file; its first letter says what the camera does: 'p' plugged in, 'u' unplugged,
 *                's' stalled, 'b' in use by another program, 'd' with its lens covered. A number
 *                behind 'p' is that of the frame at which it unplugs itself, by writing 'u'. A
 *                missing file counts as plugged in.
 * Sizes: 640x480, 320x240. Rates: 30, 15.
 *
 * Frames come by the clock. One that finds no free buffer is lost, as with a real camera; a YUYV
 * picture tells its number modulo 200 by the luma of its corner, from 16 on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS_MAX = 32, ROOM = 640 * 480 * 2, CORNER = 16 };

struct filled {
    unsigned index, sequence;
    uint32_t length;
    int64_t at_ns;
};

/* One thread takes frames, another gives the buffers of old ones back. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int camera = -1;
static unsigned width = 640, height = 480, rate = 30;
static unsigned buffer_count, queue[BUFFERS_MAX], queued, filled_count, sequence, given;
static struct filled filled[BUFFERS_MAX];
static int is_streaming;
static uint8_t *memory;
static int64_t due_ns;
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
    char said[16] = "p";
    int fd = path ? real_open(path, O_RDONLY) : -1;
    if (fd >= 0) {
        ssize_t length = read(fd, said, sizeof said - 1);
        said[length > 0 ? length : 1] = 0;
        real_close(fd);
    }
    unsigned last = said[0] == 'p' ? atoi(said + 1) : 0;
    if (last && given >= last && (fd = real_open(path, O_WRONLY | O_TRUNC)) >= 0) {
        if (write(fd, "u", 1) == 1) said[0] = 'u';
        real_close(fd);
    }
    return said[0];
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
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
    queued = filled_count = sequence = given = 0;
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
        pthread_mutex_lock(&lock);
        camera = -1;
        if (memory) munmap(memory, (size_t)ROOM * buffer_count);
        memory = NULL;
        if (data) fclose(data);
        data = NULL;
        pthread_mutex_unlock(&lock);
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
    if (state() == 'b') return fail(EBUSY);
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
    queued = filled_count = 0;
    buffer_count = wanted->count > BUFFERS_MAX ? BUFFERS_MAX : wanted->count;
    wanted->count = buffer_count;
    if (!buffer_count) return 0;
    if (ftruncate(camera, (off_t)ROOM * buffer_count)) return -1;
    memory = mmap(NULL, (size_t)ROOM * buffer_count, PROT_READ | PROT_WRITE, MAP_SHARED, camera, 0);
    return memory == MAP_FAILED ? -1 : 0;
}

/* Puts the next picture into a buffer: a bright bar that moves on, or the file's next packet. */
static uint32_t fill(uint8_t *buffer, int is_dark) {
    if (!data) {
        for (unsigned y = 0; y < height; y++)
            for (unsigned x = 0; x < width; x++) {
                uint8_t *pixel = buffer + ((size_t)y * width + x) * 2;
                pixel[0] = x / 16 == sequence % (width / 16) ? 200 : 60;
                if (x < CORNER && y < CORNER) pixel[0] = 16 + sequence % 200;
                if (is_dark) pixel[0] = 16;
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

/* Takes the frames that came since, as far as there are buffers for them. */
static void advance(int now_is) {
    int64_t now = now_ns();
    if (now_is == 's') due_ns = now;
    for (; is_streaming && due_ns <= now; due_ns += 1000000000LL / rate, sequence++) {
        if (!queued) continue;
        struct filled *next = &filled[filled_count++];
        next->index = queue[0];
        memmove(queue, queue + 1, --queued * sizeof *queue);
        next->length = fill(memory + (size_t)next->index * ROOM, now_is == 'd');
        next->sequence = sequence;
        next->at_ns = due_ns;
    }
}

static int dequeue(struct v4l2_buffer *buffer) {
    int now_is = state();
    if (now_is == 'u') return fail(ENODEV);
    if (!is_streaming) return fail(EINVAL);
    advance(now_is);
    if (now_is == 's' || !filled_count) return fail(EAGAIN);
    struct filled next = filled[0];
    memmove(filled, filled + 1, --filled_count * sizeof *filled);
    memset(buffer, 0, sizeof *buffer);
    buffer->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer->memory = V4L2_MEMORY_MMAP;
    buffer->index = next.index;
    buffer->m.offset = next.index * ROOM;
    buffer->bytesused = next.length;
    buffer->length = pixel_format() == V4L2_PIX_FMT_YUYV ? next.length : ROOM;
    buffer->sequence = next.sequence;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | V4L2_BUF_FLAG_DONE;
    buffer->timestamp.tv_sec = next.at_ns / 1000000000LL;
    buffer->timestamp.tv_usec = next.at_ns % 1000000000LL / 1000;
    given++;
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
        if (is_streaming) advance(state());
        queue[queued++] = buffer->index;
        return 0;
    }
    case VIDIOC_STREAMON: is_streaming = 1; due_ns = now_ns(); return 0;
    case VIDIOC_STREAMOFF: is_streaming = 0; queued = filled_count = 0; return 0;
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
    if (fd < 0 || fd != camera || (request >> 8 & 0xff) != 'V')
        return real_ioctl(fd, request, argument);
    pthread_mutex_lock(&lock);
    int result = answer(request, argument);
    pthread_mutex_unlock(&lock);
    return result;
}
