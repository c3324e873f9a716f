// From a frame's I420 planes to a network's input: scale, fit, convert to RGB, in one pass.
//
// frame_input does so with a whole frame, crop_input with rectangles of one that lies on the device.
//
// One source for two compilers: NVRTC (or nvcc) for the GPU, and a C compiler for the tests, which
// compare it with stream/pixels/scaling.py. The arithmetic is that of scaling.py: a plane is halved, by
// means, while it is twice too large, and then scaled bilinearly; the colour matrix comes last.

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define FUNCTION static __device__ __forceinline__
#else
#include <math.h>
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
#define FUNCTION static inline
#endif

// An I420 frame, or a rectangle of one: its planes, and the bytes from one row of luma to the next.
typedef struct {
    const unsigned char *y, *u, *v;
    int pitch, width, height;
} Picture;

// Where the scaled picture lies in the square input; outside is padding.
typedef struct {
    int side, left, top, columns, rows;
} Target;

// How much of pixel i lies between two edges.
FUNCTION float covered(int i, float from, float to) {
    return fminf(to, (float)(i + 1)) - fmaxf(from, (float)i);
}

// One pixel of a plane halved x and y times: the mean of what it covers, 2^x by 2^y pixels, or, where
// a side was odd, a little more.
FUNCTION float halved(const unsigned char *plane, int pitch, int width, int height, int columns,
                      int rows, int column, int row) {
    const float wide = (float)width / (float)columns, high = (float)height / (float)rows;
    const float left = (float)column * wide, top = (float)row * high;
    const float right = fminf(left + wide, (float)width), bottom = fminf(top + high, (float)height);
    float sum = 0.0f;
    for (int y = (int)top; (float)y < bottom; ++y) {
        const unsigned char *line = plane + (long long)y * pitch;
        float across = 0.0f;
        for (int x = (int)left; (float)x < right; ++x) across += covered(x, left, right) * line[x];
        sum += covered(y, top, bottom) * across;
    }
    return rintf(sum / ((right - left) * (bottom - top)));
}

// One pixel of a plane scaled to columns x rows.
FUNCTION float scaled(const unsigned char *plane, int pitch, int width, int height, int columns,
                      int rows, int x, int y) {
    int halved_width = width, halved_height = height;
    while (halved_height >= 2 * rows || halved_width >= 2 * columns) {
        const int is_tall = halved_height >= 2 * rows, is_wide = halved_width >= 2 * columns;
        halved_height >>= is_tall;
        halved_width >>= is_wide;
    }
    const float at_x = ((float)x + 0.5f) * (float)halved_width / (float)columns - 0.5f;
    const float at_y = ((float)y + 0.5f) * (float)halved_height / (float)rows - 0.5f;
    const float low_x = floorf(at_x), low_y = floorf(at_y);
    const float share_x = at_x - low_x, share_y = at_y - low_y;
    const int left = max((int)low_x, 0), right = min((int)low_x + 1, halved_width - 1);
    const int top = max((int)low_y, 0), bottom = min((int)low_y + 1, halved_height - 1);
#define AT(column, row)                                                                       \
    halved(plane, pitch, width, height, halved_width, halved_height, column, row)
    const float upper = AT(left, top) * (1.0f - share_x) + AT(right, top) * share_x;
    const float lower = AT(left, bottom) * (1.0f - share_x) + AT(right, bottom) * share_x;
#undef AT
    return rintf(upper * (1.0f - share_y) + lower * share_y);
}

FUNCTION unsigned char level(float value) {
    return (unsigned char)fminf(fmaxf(rintf(value), 0.0f), 255.0f);
}

// A frame whose planes lie one after the other.
FUNCTION Picture whole(const unsigned char *planes, int width, int height) {
    const unsigned char *u = planes + (long long)width * height;
    const Picture picture = {
        planes, u, u + (long long)(width / 2) * (height / 2), width, width, height};
    return picture;
}

// A rectangle of a picture, whose edges are even.
FUNCTION Picture part(Picture of, int left, int top, int right, int bottom) {
    const long long chroma = (long long)(top / 2) * (of.pitch / 2) + left / 2;
    const Picture picture = {of.y + (long long)top * of.pitch + left,
                             of.u + chroma,
                             of.v + chroma,
                             of.pitch,
                             right - left,
                             bottom - top};
    return picture;
}

// One pixel of a picture scaled to columns x rows, RGB.
FUNCTION void rgb_pixel(Picture of, int columns, int rows, int column, int row,
                        const float *matrix, unsigned char *rgb) {
    const int pitch = of.pitch / 2, width = of.width / 2, height = of.height / 2;
    const float luma = scaled(of.y, of.pitch, of.width, of.height, columns, rows, column, row);
    const float blue = scaled(of.u, pitch, width, height, columns, rows, column, row);
    const float red = scaled(of.v, pitch, width, height, columns, rows, column, row);
    for (int channel = 0; channel < 3; ++channel) {
        const float *weights = matrix + 4 * channel;
        rgb[channel] =
            level(weights[0] * luma + weights[1] * blue + weights[2] * red + weights[3]);
    }
}

// One pixel of the input, RGB.
FUNCTION void input_pixel(Picture of, unsigned char *input, Target target, int padding,
                          const float *matrix, int x, int y) {
    unsigned char *rgb = input + 3 * ((long long)y * target.side + x);
    const int column = x - target.left, row = y - target.top;
    if (column < 0 || row < 0 || column >= target.columns || row >= target.rows)
        rgb[0] = rgb[1] = rgb[2] = (unsigned char)padding;
    else
        rgb_pixel(of, target.columns, target.rows, column, row, matrix, rgb);
}

// One pixel of the crops, which lie one under the other: row y is one of crop y / side.
FUNCTION void crop_pixel(Picture of, const int *rectangles, unsigned char *crops, int side,
                         const float *matrix, int x, int y) {
    const int *edges = rectangles + 4 * (y / side);
    rgb_pixel(part(of, edges[0], edges[1], edges[2], edges[3]), side, side, x, y % side, matrix,
              crops + 3 * ((long long)y * side + x));
}

#define COLORS                                                                                \
    float r0, float r1, float r2, float r3, float g0, float g1, float g2, float g3, float b0, \
        float b1, float b2, float b3

#define INPUT_PARAMETERS                                                                      \
    const unsigned char *planes, int width, int height, unsigned char *input, int side,       \
        int left, int top, int columns, int rows, int padding, COLORS

#define CROP_PARAMETERS                                                                       \
    const unsigned char *planes, int width, int height, unsigned char *crops, int side,       \
        const int *rectangles, int count, COLORS

#define MATRIX const float matrix[12] = {r0, r1, r2, r3, g0, g1, g2, g3, b0, b1, b2, b3}

#define INPUT_PIXEL(x, y)                                                                     \
    input_pixel(whole(planes, width, height), input, target, padding, matrix, x, y)

#define CROP_PIXEL(x, y)                                                                      \
    crop_pixel(whole(planes, width, height), rectangles, crops, side, matrix, x, y)

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
extern "C" __global__ void frame_input(INPUT_PARAMETERS) {
    MATRIX;
    const Target target = {side, left, top, columns, rows};
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < side && y < side) INPUT_PIXEL(x, y);
}

extern "C" __global__ void crop_input(CROP_PARAMETERS) {
    MATRIX;
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < side && y < count * side) CROP_PIXEL(x, y);
}
#else
void frame_input(INPUT_PARAMETERS) {
    MATRIX;
    const Target target = {side, left, top, columns, rows};
    for (int y = 0; y < side; ++y)
        for (int x = 0; x < side; ++x) INPUT_PIXEL(x, y);
}

void crop_input(CROP_PARAMETERS) {
    MATRIX;
    for (int y = 0; y < count * side; ++y)
        for (int x = 0; x < side; ++x) CROP_PIXEL(x, y);
}
#endif
