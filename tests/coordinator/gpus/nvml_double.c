/* A libnvidia-ml.so.1 that plays the devices of a text file, so that the real nvidia-ml-py runs
 * without a GPU. The file named by GPURUN_NVML_DOUBLE is read anew at each call:
 *
 *   init CODE                  what nvmlInitWithFlags answers (0 where absent)
 *   count_code CODE            what nvmlDeviceGetCount_v2 answers
 *   gpu UUID NAME              begins a device; what follows belongs to it
 *   lost CODE                  every call on it answers CODE
 *   memory TOTAL FREE USED     bytes
 *   memory_code CODE
 *   utilization PERCENT
 *   utilization_code CODE
 *   compute PID BYTES          a process; -1 bytes are not known
 *   graphics PID BYTES
 *   list_code CODE             what the process lists answer
 *   outgrow N                  N reads of a process list find that it has outgrown its array
 *
 * Every call adds its name, in one line, to the file's name with ".calls" behind it.
 * Types, codes and the two-call protocol of the lists: nvml.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, INSUFFICIENT_SIZE = 7 };
enum { GPUS = 8, PROCESSES = 64, TEXT = 96 };

typedef struct {
    unsigned pid;
    unsigned long long used;
    unsigned gpu_instance;
    unsigned compute_instance;
} process_t; /* 24 bytes: nvmlProcessInfo_t, second and third version */

typedef struct {
    unsigned long long total, free, used;
} memory_t; /* 24 bytes: nvmlMemory_t, first version */

typedef struct {
    unsigned gpu, memory;
} rates_t;

typedef struct {
    unsigned count;
    process_t all[PROCESSES];
} list_t;

typedef struct {
    char uuid[TEXT], name[TEXT];
    int lost, memory_code, utilization_code, list_code, outgrow;
    memory_t memory;
    rates_t rates;
    list_t compute, graphics;
} gpu_t;

static struct {
    int init, count_code;
    unsigned count;
    gpu_t gpus[GPUS];
} state;

static int initialized;
static int outgrown;

static void add(list_t *list, const char *words)
{
    process_t *process = &list->all[list->count++];
    long long used = -1;
    sscanf(words, "%u %lld", &process->pid, &used);
    process->used = (unsigned long long)used; /* -1 is NVML_VALUE_NOT_AVAILABLE */
    process->gpu_instance = process->compute_instance = 0xFFFFFFFFu;
}

static void add_gpu(const char *words)
{
    gpu_t *gpu = &state.gpus[state.count++];
    sscanf(words, "%95s %95[^\n]", gpu->uuid, gpu->name);
}

static void read_gpu(gpu_t *gpu, const char *key, const char *words)
{
    if (!strcmp(key, "lost"))
        gpu->lost = atoi(words);
    else if (!strcmp(key, "memory"))
        sscanf(words, "%llu %llu %llu", &gpu->memory.total, &gpu->memory.free, &gpu->memory.used);
    else if (!strcmp(key, "memory_code"))
        gpu->memory_code = atoi(words);
    else if (!strcmp(key, "utilization"))
        gpu->rates.gpu = (unsigned)atoi(words);
    else if (!strcmp(key, "utilization_code"))
        gpu->utilization_code = atoi(words);
    else if (!strcmp(key, "compute"))
        add(&gpu->compute, words);
    else if (!strcmp(key, "graphics"))
        add(&gpu->graphics, words);
    else if (!strcmp(key, "list_code"))
        gpu->list_code = atoi(words);
    else if (!strcmp(key, "outgrow"))
        gpu->outgrow = atoi(words);
    else
        abort(); /* a test that misspells a key must not pass */
}

static void read_line(const char *line)
{
    char key[TEXT] = "";
    int length = 0;
    if (sscanf(line, "%95s %n", key, &length) < 1)
        return;
    if (!strcmp(key, "init"))
        state.init = atoi(line + length);
    else if (!strcmp(key, "count_code"))
        state.count_code = atoi(line + length);
    else if (!strcmp(key, "gpu"))
        add_gpu(line + length);
    else
        read_gpu(&state.gpus[state.count - 1], key, line + length);
}

/* Reads the devices and notes the call; every function of the library begins with it. */
static void look(const char *call)
{
    const char *path = getenv("GPURUN_NVML_DOUBLE");
    char line[512], calls[512];
    FILE *file = fopen(path, "r");
    memset(&state, 0, sizeof state);
    while (fgets(line, sizeof line, file))
        read_line(line);
    fclose(file);
    snprintf(calls, sizeof calls, "%s.calls", path);
    file = fopen(calls, "a");
    fprintf(file, "%s\n", call);
    fclose(file);
}

/* The handle of a GPU is its index and one, so that NULL is none. */
static int find(const char *call, void *handle, gpu_t **gpu)
{
    size_t index = (size_t)handle - 1;
    look(call);
    if (!initialized)
        return UNINITIALIZED;
    if (index >= state.count)
        return INVALID_ARGUMENT;
    *gpu = &state.gpus[index];
    return (*gpu)->lost;
}

int nvmlInitWithFlags(unsigned flags)
{
    (void)flags;
    look(__func__);
    if (state.init == SUCCESS)
        initialized++;
    return state.init;
}

int nvmlShutdown(void)
{
    look(__func__);
    if (!initialized)
        return UNINITIALIZED;
    initialized--;
    return SUCCESS;
}

const char *nvmlErrorString(int code)
{
    (void)code;
    return "an error of the double";
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
    look(__func__);
    *count = state.count;
    return initialized ? state.count_code : UNINITIALIZED;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle)
{
    gpu_t *gpu;
    *handle = (void *)(size_t)(index + 1);
    return find(__func__, *handle, &gpu);
}

static int copy(int code, char *to, unsigned length, const char *from)
{
    if (code == SUCCESS)
        snprintf(to, length, "%s", from);
    return code;
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned length)
{
    gpu_t *gpu = NULL;
    int code = find(__func__, handle, &gpu);
    return copy(code, uuid, length, gpu ? gpu->uuid : "");
}

int nvmlDeviceGetName(void *handle, char *name, unsigned length)
{
    gpu_t *gpu = NULL;
    int code = find(__func__, handle, &gpu);
    return copy(code, name, length, gpu ? gpu->name : "");
}

int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory)
{
    gpu_t *gpu;
    int code = find(__func__, handle, &gpu);
    if (code == SUCCESS)
        *memory = gpu->memory;
    return code ? code : gpu->memory_code;
}

int nvmlDeviceGetUtilizationRates(void *handle, rates_t *rates)
{
    gpu_t *gpu;
    int code = find(__func__, handle, &gpu);
    if (code == SUCCESS)
        *rates = gpu->rates;
    return code ? code : gpu->utilization_code;
}

/* The caller asks with no room for the count, then with room for the entries. */
static int give(const gpu_t *gpu, const list_t *list, unsigned *count, process_t *to)
{
    unsigned room = *count;
    if (gpu->list_code)
        return gpu->list_code;
    *count = list->count;
    if (to && outgrown < gpu->outgrow) {
        outgrown++;
        *count = room + 1;
        return INSUFFICIENT_SIZE;
    }
    if (room < list->count)
        return INSUFFICIENT_SIZE;
    if (to)
        memcpy(to, list->all, list->count * sizeof *to);
    return SUCCESS;
}

static int compute(const char *call, void *handle, unsigned *count, process_t *to)
{
    gpu_t *gpu;
    int code = find(call, handle, &gpu);
    return code ? code : give(gpu, &gpu->compute, count, to);
}

static int graphics(const char *call, void *handle, unsigned *count, process_t *to)
{
    gpu_t *gpu;
    int code = find(call, handle, &gpu);
    return code ? code : give(gpu, &gpu->graphics, count, to);
}

#ifdef SECOND_VERSION
#define LIST(name) name##_v2 /* a driver from before the third version */
#else
#define LIST(name) name##_v3
#endif

int LIST(nvmlDeviceGetComputeRunningProcesses)(void *handle, unsigned *count, process_t *to)
{
    return compute(__func__, handle, count, to);
}

int LIST(nvmlDeviceGetGraphicsRunningProcesses)(void *handle, unsigned *count, process_t *to)
{
    return graphics(__func__, handle, count, to);
}
