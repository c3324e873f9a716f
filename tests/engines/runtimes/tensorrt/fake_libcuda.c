// A CUDA driver for tests: the functions that the device calls, over the processor's memory.
//
// It stands in for libcuda.so.1, so that the calls of the provider, with the arguments as the real
// driver would get them, are tried where there is no GPU. Work is done at once; 64 MiB are "free".
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame_input.c"

typedef int Result;
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500 };
static const size_t MEMORY_BYTES = 64 << 20;
static size_t used_bytes;
static int live_count;  // of allocations, streams, modules and registrations

Result cuInit(unsigned flags) { return flags ? INVALID_VALUE : SUCCESS; }
Result cuDriverGetVersion(int *version) { *version = 13000; return SUCCESS; }
Result cuDeviceGetCount(int *count) { *count = 1; return SUCCESS; }
Result cuDeviceGet(int *device, int number) { *device = number; return number ? INVALID_VALUE : SUCCESS; }
Result cuDeviceGetName(char *name, int length, int device) {
    (void)device;
    snprintf(name, (size_t)length, "Pretended GPU");
    return SUCCESS;
}
Result cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    *value = attribute == 75 ? 8 : attribute == 76 ? 9 : 0;  // compute capability 8.9
    return SUCCESS;
}
Result cuDevicePrimaryCtxRetain(void **context, int device) {
    (void)device;
    *context = (void *)0x1000;
    ++live_count;
    return SUCCESS;
}
Result cuDevicePrimaryCtxRelease_v2(int device) {
    (void)device;
    return --live_count ? INVALID_VALUE : SUCCESS;  // whatever is left was forgotten
}
Result cuCtxSetCurrent(void *context) { return context == (void *)0x1000 ? SUCCESS : INVALID_VALUE; }
Result cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    *free_bytes = MEMORY_BYTES - used_bytes;
    *total_bytes = MEMORY_BYTES;
    return SUCCESS;
}
Result cuMemAlloc_v2(uint64_t *pointer, size_t byte_count) {
    if (used_bytes + byte_count > MEMORY_BYTES) return OUT_OF_MEMORY;
    size_t *block = malloc(byte_count + 16);
    block[0] = byte_count;
    used_bytes += byte_count;
    ++live_count;
    *pointer = (uint64_t)(uintptr_t)(block + 2);
    return SUCCESS;
}
Result cuMemFree_v2(uint64_t pointer) {
    size_t *block = (size_t *)(uintptr_t)pointer - 2;
    used_bytes -= block[0];
    --live_count;
    free(block);
    return SUCCESS;
}
Result cuMemHostAlloc(void **address, size_t byte_count, unsigned flags) {
    ++live_count;
    *address = malloc(byte_count);
    return flags ? INVALID_VALUE : SUCCESS;
}
Result cuMemFreeHost(void *address) {
    --live_count;
    free(address);
    return SUCCESS;
}
Result cuMemHostRegister_v2(void *address, size_t byte_count, unsigned flags) {
    if ((uintptr_t)address % 4096 || !byte_count || flags) return INVALID_VALUE;
    ++live_count;
    return SUCCESS;
}
Result cuMemHostUnregister(void *address) {
    (void)address;
    --live_count;
    return SUCCESS;
}
Result cuStreamCreate(void **stream, unsigned flags) {
    static uintptr_t next = 0x2000;
    *stream = (void *)next++;
    ++live_count;
    return flags == 1 ? SUCCESS : INVALID_VALUE;  // CU_STREAM_NON_BLOCKING
}
Result cuStreamDestroy_v2(void *stream) {
    (void)stream;
    --live_count;
    return SUCCESS;
}
static int is_stream(void *stream) { return (uintptr_t)stream >= 0x2000; }
Result cuStreamSynchronize(void *stream) { return is_stream(stream) ? SUCCESS : INVALID_VALUE; }
Result cuMemcpyHtoDAsync_v2(uint64_t pointer, const void *host, size_t byte_count, void *stream) {
    memcpy((void *)(uintptr_t)pointer, host, byte_count);
    return cuStreamSynchronize(stream);
}
Result cuMemcpyDtoHAsync_v2(void *host, uint64_t pointer, size_t byte_count, void *stream) {
    memcpy(host, (const void *)(uintptr_t)pointer, byte_count);
    return cuStreamSynchronize(stream);
}
Result cuModuleLoadData(void **module, const void *image) {
    *module = (void *)image;
    ++live_count;
    return memcmp(image, "\177ELF", 4) ? INVALID_VALUE : SUCCESS;
}
Result cuModuleUnload(void *module) {
    (void)module;
    --live_count;
    return SUCCESS;
}
Result cuModuleGetFunction(void **function, void *module, const char *name) {
    (void)module;
    *function = (void *)frame_input;
    return strcmp(name, "frame_input") ? NOT_FOUND : SUCCESS;
}
Result cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                      unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                      void *stream, void **parameters, void **extra) {
    const int side = *(int *)parameters[4];
    if (function != (void *)frame_input || !is_stream(stream) || shared_bytes || extra ||
        grid_z != 1 || block_z != 1 || grid_x * block_x < (unsigned)side ||
        grid_y * block_y < (unsigned)side)
        return INVALID_VALUE;
    const float *const *f = (const float *const *)(parameters + 10);
#define INT(i) (*(int *)parameters[i])
    frame_input(*(const unsigned char **)parameters[0], INT(1), INT(2),
                *(unsigned char **)parameters[3], side, INT(5), INT(6), INT(7), INT(8), INT(9),
                *f[0], *f[1], *f[2], *f[3], *f[4], *f[5], *f[6], *f[7], *f[8], *f[9], *f[10],
                *f[11]);
    return SUCCESS;
}
static void *capturing;
Result cuStreamBeginCapture_v2(void *stream, int mode) {
    capturing = stream;
    return mode == 1 ? SUCCESS : INVALID_VALUE;  // thread local
}
Result cuStreamEndCapture(void *stream, void **graph) {
    *graph = (void *)0x3000;
    return stream == capturing ? SUCCESS : INVALID_VALUE;
}
Result cuGraphInstantiateWithFlags(void **launchable, void *graph, unsigned long long flags) {
    *launchable = (void *)0x4000;
    return graph == (void *)0x3000 && !flags ? SUCCESS : INVALID_VALUE;
}
Result cuGraphDestroy(void *graph) { return graph == (void *)0x3000 ? SUCCESS : INVALID_VALUE; }
Result cuGraphLaunch(void *launchable, void *stream) {
    return launchable == (void *)0x4000 && is_stream(stream) ? SUCCESS : INVALID_VALUE;
}
Result cuGetProcAddress_v2(const char *symbol, void **function, int version, uint64_t flags,
                           int *status) {
    (void)version, (void)flags;
    char newer[128];
    snprintf(newer, sizeof newer, "%s_v2", symbol);
    Dl_info self;
    dladdr((void *)cuInit, &self);
    void *library = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    void *better = dlsym(library, newer), *plain = dlsym(library, symbol);
    *function = better ? better : plain;
    if (!*function && !strcmp(symbol, "cuGraphInstantiate"))
        *function = (void *)cuGraphInstantiateWithFlags;
    if (status) *status = *function ? 0 : 1;
    return *function ? SUCCESS : NOT_FOUND;
}
