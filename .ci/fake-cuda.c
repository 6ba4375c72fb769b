/* A fake NVIDIA driver, so that kernels can be compiled without a GPU: reports one GPU with the compute capability CAPABILITY (as in
 * 90), keeps its memory in main memory, writes each kernel's PTX to the folder PTX and runs nothing. `.ci/ptx` builds and uses it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long Address;

static char context[64];

static int capability(void) {
    const char *text = getenv("CAPABILITY");
    return text ? atoi(text) : 90;
}

static Address memory(size_t bytes) {
    void *start = NULL;
    return posix_memalign(&start, 512, bytes ? bytes : 1) ? 0 : (Address)(uintptr_t)start;
}

static int module(void **out, const char *ptx) {
    static int number;
    char path[4096];
    const char *folder = getenv("PTX");
    if (folder && strncmp(ptx, "\x7f" "ELF", 4) != 0) {
        snprintf(path, sizeof path, "%s/%04d.ptx", folder, number++);
        FILE *file = fopen(path, "w");
        if (!file || fputs(ptx, file) < 0 || fclose(file) != 0) return 999;
    }
    *out = malloc(8);
    return 0;
}

/* Functions without effect. */
#define NOTHING(name) int name() { return 0; }
#define HANDLE(name) int name(void **out) { *out = malloc(8); return 0; }

int cuDriverGetVersion(int *out) { *out = 12080; return 0; }
int cuDeviceGetCount(int *out) { *out = 1; return 0; }
int cuDeviceGet(int *out, int index) { *out = index; return 0; }
int cuDeviceGetName(char *out, int len, int device) { snprintf(out, len, "no card"); return device; }
int cuDeviceTotalMem_v2(size_t *out, int device) { *out = 24ULL << 30; return device; }
int cuDeviceGetUuid_v2(char *out, int device) { memset(out, 1, 16); return device; }
int cuDeviceGetLuid(char *luid, unsigned *mask, int device) { return 801; }
int cuDeviceGetPCIBusId(char *out, int len, int device) { snprintf(out, len, "0000:01:00.0"); return device; }
int cuDeviceCanAccessPeer(int *out, int a, int b) { *out = 0; return 0; }
int cuDeviceGetAttribute(int *out, int attribute, int device) {
    switch (attribute) {
    case 1: *out = 1024; break;                   /* threads per block */
    case 2: case 3: *out = 1024; break;           /* block dimensions */
    case 4: *out = 64; break;
    case 5: *out = 2147483647; break;             /* grid dimensions */
    case 6: case 7: *out = 65535; break;
    case 8: *out = 49152; break;                  /* shared memory */
    case 97: *out = capability() < 80 ? 65536 : 101376; break;
    case 10: *out = 32; break;                    /* warp size */
    case 16: *out = 64; break;                    /* multiprocessors */
    case 75: *out = capability() / 10; break;
    case 76: *out = capability() % 10; break;
    default: *out = 1;
    }
    return 0;
}
int cuDevicePrimaryCtxRetain(void **out, int device) { *out = context; return device; }
int cuCtxGetCurrent(void **out) { *out = context; return 0; }
int cuDeviceGetDefaultMemPool(void **out, int device) { *out = context; return device; }
int cuMemGetInfo_v2(size_t *free, size_t *total) { *free = *total = 24ULL << 30; return 0; }
int cuMemAlloc_v2(Address *out, size_t bytes) { *out = memory(bytes); return *out ? 0 : 2; }
int cuMemAllocAsync(Address *out, size_t bytes, void *stream) { return cuMemAlloc_v2(out, bytes); }
int cuMemAllocHost_v2(Address *out, size_t bytes) { return cuMemAlloc_v2(out, bytes); }
int cuMemHostAlloc(Address *out, size_t bytes, unsigned flags) { return cuMemAlloc_v2(out, bytes); }
int cuMemFree_v2(Address start) { free((void *)(uintptr_t)start); return 0; }
int cuMemFreeAsync(Address start, void *stream) { return cuMemFree_v2(start); }
int cuMemFreeHost(void *start) { free(start); return 0; }
int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes) { memcpy((void *)(uintptr_t)to, from, bytes); return 0; }
int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes) { memcpy(to, (void *)(uintptr_t)from, bytes); return 0; }
int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes) {
    memcpy((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes);
    return 0;
}
int cuMemsetD8Async(Address to, unsigned char value, size_t bytes) { memset((void *)(uintptr_t)to, value, bytes); return 0; }
int cuModuleLoadData(void **out, const void *ptx) { return module(out, ptx); }
int cuModuleLoadDataEx(void **out, const void *ptx) { return module(out, ptx); }
int cuFuncGetAttribute(int *out, int attribute, void *function) { *out = 0; return 0; }
int cuEventElapsedTime(float *out) { *out = 1; return 0; }
int cuEventElapsedTime_v2(float *out) { *out = 1; return 0; }
int cuGetErrorName(int error, const char **out) { *out = "none"; return 0; }
int cuGetErrorString(int error, const char **out) { *out = "none"; return 0; }
HANDLE(cuStreamCreate)
HANDLE(cuStreamCreateWithPriority)
HANDLE(cuEventCreate)
HANDLE(cuModuleGetFunction)
NOTHING(cuInit)
NOTHING(cuCtxSetCurrent)
NOTHING(cuCtxPushCurrent_v2)
NOTHING(cuCtxPopCurrent_v2)
NOTHING(cuCtxSynchronize)
NOTHING(cuCtxSetLimit)
NOTHING(cuDevicePrimaryCtxRelease_v2)
NOTHING(cuStreamDestroy_v2)
NOTHING(cuStreamSynchronize)
NOTHING(cuStreamQuery)
NOTHING(cuStreamWaitEvent)
NOTHING(cuEventRecord)
NOTHING(cuEventQuery)
NOTHING(cuEventSynchronize)
NOTHING(cuEventDestroy_v2)
NOTHING(cuMemcpy2DAsync_v2)
NOTHING(cuMemPoolSetAttribute)
NOTHING(cuMemPoolTrimTo)
NOTHING(cuModuleUnload)
NOTHING(cuFuncSetAttribute)
NOTHING(cuLaunchKernel)
NOTHING(cuLaunchKernelEx)
