/* A libnvidia-ml.so.1 that plays the devices of a text file, so that the real nvidia-ml-py runs
 * without a GPU. The file named by GPURUN_NVML_DOUBLE is looked at in each call, and read anew when
 * it has been replaced:
 *
 *   init CODE                  what nvmlInitWithFlags answers (0 where absent)
 *   count_code CODE            what nvmlDeviceGetCount_v2 answers
 *   driver VERSION             what nvmlSystemGetDriverVersion answers
 *   hang FUNCTION              that function comes back when this line is gone
 *   event_code CODE            what a wait for events answers
 *   gpu UUID NAME              begins a device; what follows belongs to it
 *   mig UUID NAME              begins a MIG device of the last gpu, likewise
 *   lost CODE                  every call on it answers CODE
 *   memory TOTAL FREE USED     bytes
 *   memory_code CODE
 *   utilization PERCENT
 *   utilization_code CODE
 *   ring PERCENT SECONDS       the driver's samples: six a second, up to this instant
 *   ring_code CODE
 *   compute PID BYTES          a process; -1 bytes are not known
 *   graphics PID BYTES
 *   list_code CODE             what the process lists answer
 *   outgrow N                  N reads of a process list find that it has outgrown its array
 *   busy PID PERCENT           a process with some use, as of this instant
 *   busy_code CODE             what the probe for these answers
 *   xid NUMBER CODE            an event, told once for each NUMBER; they grow
 *   reasons BITS               why its clocks are as they are
 *   persistence 0|1
 *   peak PID BYTES             accounting is on, and this is what it knows
 *
 * Where GPURUN_NVML_CALLS names a file, every call adds its name to it, in one line.
 * Types, codes and the two-call protocol of the lists: nvml.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    TIMEOUT = 10
};
enum { GPUS = 16, PROCESSES = 256, TEXT = 96, RING = 512, SHARES = 64, SIXTH = 166667 };
enum { GPU_UTILIZATION_SAMPLES = 1, UNSIGNED_INT = 1, XID_EVENT = 8 };

typedef unsigned long long u64;

typedef struct {
    unsigned pid;
    u64 used;
    unsigned gpu_instance;
    unsigned compute_instance;
} process_t; /* 24 bytes: nvmlProcessInfo_t, second and third version */

typedef struct {
    u64 total, free, used;
} memory_t; /* 24 bytes: nvmlMemory_t, first version */

typedef struct {
    unsigned gpu, memory;
} rates_t;

typedef struct {
    u64 time;
    union {
        unsigned number;
        u64 wide;
    } value;
} sample_t; /* 16 bytes: nvmlSample_t */

typedef struct {
    unsigned pid;
    u64 time;
    unsigned sm, memory, encoder, decoder;
} share_t; /* 32 bytes: nvmlProcessUtilizationSample_t */

typedef struct {
    void *device;
    u64 type, data;
    unsigned gpu_instance, compute_instance;
} event_t; /* nvmlEventData_t */

typedef struct {
    unsigned gpu, memory;
    u64 peak, time, start;
    unsigned running, reserved[5];
} accounting_t; /* 56 bytes: nvmlAccountingStats_t */

typedef struct {
    unsigned count;
    process_t all[PROCESSES];
} list_t;

typedef struct {
    char uuid[TEXT], name[TEXT];
    int parent; /* of a MIG device its GPU's index and one; else 0 */
    int lost, memory_code, utilization_code, list_code, outgrow, ring_code, busy_code;
    int persistence, accounting;
    unsigned ring, seconds;
    u64 reasons;
    memory_t memory;
    rates_t rates;
    list_t compute, graphics, peaks;
    unsigned shares;
    share_t busy[SHARES];
    u64 xid_number, xid;
} gpu_t;

static struct {
    int init, count_code, event_code;
    char driver[TEXT], hang[TEXT];
    unsigned count, gpus;
    gpu_t all[GPUS];
} state;

static int initialized;
static int outgrown;
static int registered[GPUS]; /* told of while it is lost, and not when it has come back */
static int was_lost[GPUS];
static u64 told[GPUS]; /* the number of the last event that was told */

static u64 now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (u64)time.tv_sec * 1000000 + (u64)time.tv_nsec / 1000;
}

static void add(list_t *list, const char *words)
{
    process_t *process = &list->all[list->count++];
    long long used = -1;
    sscanf(words, "%u %lld", &process->pid, &used);
    process->used = (u64)used; /* -1 is NVML_VALUE_NOT_AVAILABLE */
    process->gpu_instance = process->compute_instance = 0xFFFFFFFFu;
}

static void add_gpu(const char *words, int mig)
{
    gpu_t *gpu = &state.all[state.count++];
    unsigned parent = state.count;
    while (mig && state.all[--parent - 1].parent)
        ;
    gpu->parent = mig ? (int)parent : 0;
    gpu->persistence = 1;
    state.gpus += !mig;
    sscanf(words, "%95s %95[^\n]", gpu->uuid, gpu->name);
}

static void add_share(gpu_t *gpu, const char *words)
{
    share_t *share = &gpu->busy[gpu->shares++];
    sscanf(words, "%u %u", &share->pid, &share->sm);
}

static int read_processes(gpu_t *gpu, const char *key, const char *words)
{
    if (!strcmp(key, "compute"))
        add(&gpu->compute, words);
    else if (!strcmp(key, "graphics"))
        add(&gpu->graphics, words);
    else if (!strcmp(key, "peak"))
        add(&gpu->peaks, words);
    else if (!strcmp(key, "list_code"))
        gpu->list_code = atoi(words);
    else if (!strcmp(key, "outgrow"))
        gpu->outgrow = atoi(words);
    else if (!strcmp(key, "busy"))
        add_share(gpu, words);
    else if (!strcmp(key, "busy_code"))
        gpu->busy_code = atoi(words);
    else
        return 0;
    return 1;
}

static void read_gpu(gpu_t *gpu, const char *key, const char *words)
{
    if (read_processes(gpu, key, words))
        return;
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
    else if (!strcmp(key, "ring"))
        sscanf(words, "%u %u", &gpu->ring, &gpu->seconds);
    else if (!strcmp(key, "ring_code"))
        gpu->ring_code = atoi(words);
    else if (!strcmp(key, "xid"))
        sscanf(words, "%llu %llu", &gpu->xid_number, &gpu->xid);
    else if (!strcmp(key, "reasons"))
        gpu->reasons = strtoull(words, NULL, 0);
    else if (!strcmp(key, "persistence"))
        gpu->persistence = atoi(words);
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
    else if (!strcmp(key, "event_code"))
        state.event_code = atoi(line + length);
    else if (!strcmp(key, "driver"))
        sscanf(line + length, "%95s", state.driver);
    else if (!strcmp(key, "hang"))
        sscanf(line + length, "%95s", state.hang);
    else if (!strcmp(key, "gpu") || !strcmp(key, "mig"))
        add_gpu(line + length, key[0] == 'm');
    else
        read_gpu(&state.all[state.count - 1], key, line + length);
}

/* A test replaces the file, never changes it: another inode is another state. */
static void read_state(void)
{
    static struct stat known;
    const char *path = getenv("GPURUN_NVML_DOUBLE");
    struct stat found;
    char line[512];
    FILE *file;
    if (stat(path, &found) == 0 && found.st_ino == known.st_ino &&
        found.st_mtim.tv_sec == known.st_mtim.tv_sec &&
        found.st_mtim.tv_nsec == known.st_mtim.tv_nsec)
        return;
    file = fopen(path, "r");
    fstat(fileno(file), &known);
    memset(&state, 0, sizeof state);
    strcpy(state.driver, "570.0");
    while (fgets(line, sizeof line, file))
        read_line(line);
    fclose(file);
}

static void note(const char *call)
{
    const char *path = getenv("GPURUN_NVML_CALLS");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file)
        return;
    fprintf(file, "%s\n", call);
    fclose(file);
}

/* Notes the call and looks at the devices; every function of the library begins with it. */
static void look(const char *call)
{
    const struct timespec moment = {0, 2000000};
    note(call);
    for (read_state(); !strcmp(state.hang, call); read_state())
        nanosleep(&moment, NULL);
}

/* The handle of a device is its place in the file and one, so that NULL is none. */
static int find(const char *call, void *handle, gpu_t **gpu)
{
    size_t place = (size_t)handle - 1;
    look(call);
    if (!initialized)
        return UNINITIALIZED;
    if (place >= state.count)
        return INVALID_ARGUMENT;
    *gpu = &state.all[place];
    if (was_lost[place] && !(*gpu)->lost)
        registered[place] = 0;
    was_lost[place] = (*gpu)->lost;
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

static int copy(int code, char *to, unsigned length, const char *from)
{
    if (code == SUCCESS)
        snprintf(to, length, "%s", from);
    return code;
}

int nvmlSystemGetDriverVersion(char *version, unsigned length)
{
    look(__func__);
    return copy(initialized ? SUCCESS : UNINITIALIZED, version, length, state.driver);
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
    look(__func__);
    *count = state.gpus;
    return initialized ? state.count_code : UNINITIALIZED;
}

/* The place of the index-th device with this parent; the count where there is none. */
static unsigned place_of(unsigned index, int parent)
{
    unsigned place = 0;
    for (; place < state.count; place++)
        if (state.all[place].parent == parent && index-- == 0)
            break;
    return place;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle)
{
    gpu_t *gpu;
    look(__func__);
    *handle = (void *)(size_t)(place_of(index, 0) + 1);
    return find(__func__, *handle, &gpu);
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending)
{
    gpu_t *gpu;
    int code = find(__func__, handle, &gpu);
    *current = *pending = place_of(0, (int)(size_t)handle) < state.count;
    return code;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count)
{
    gpu_t *gpu;
    *count = 7;
    return find(__func__, handle, &gpu);
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **mig)
{
    gpu_t *gpu;
    int code = find(__func__, handle, &gpu);
    unsigned place = place_of(index, (int)(size_t)handle);
    *mig = (void *)(size_t)(place + 1);
    return code ? code : place < state.count ? SUCCESS : NOT_FOUND;
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
    if (code)
        return code;
    *rates = gpu->rates;
    return gpu->parent ? NOT_SUPPORTED : gpu->utilization_code;
}

/* With no array it says how many there may be, and that is a success here. */
int nvmlDeviceGetSamples(void *handle, int type, u64 last, int *kind, unsigned *count, sample_t *to)
{
    gpu_t *gpu;
    u64 end = now(), time;
    unsigned room = *count;
    int code = find(__func__, handle, &gpu);
    if (code || gpu->ring_code)
        return code ? code : gpu->ring_code;
    if (type != GPU_UTILIZATION_SAMPLES || !gpu->seconds || gpu->parent)
        return NOT_SUPPORTED;
    *kind = UNSIGNED_INT;
    *count = RING;
    if (!to)
        return SUCCESS;
    *count = 0;
    end -= end % SIXTH;
    for (time = end - (u64)gpu->seconds * 1000000; time <= end; time += SIXTH)
        if (time > last && *count < room) {
            to[*count].time = time;
            to[(*count)++].value.number = gpu->ring;
        }
    return *count ? SUCCESS : NOT_FOUND;
}

int nvmlDeviceGetProcessUtilization(void *handle, share_t *to, unsigned *count, u64 last)
{
    gpu_t *gpu;
    unsigned room = *count, index;
    int code = find(__func__, handle, &gpu);
    (void)last;
    if (code || gpu->busy_code)
        return code ? code : gpu->busy_code;
    if (gpu->parent)
        return NOT_SUPPORTED;
    *count = gpu->shares;
    if (room < gpu->shares)
        return INSUFFICIENT_SIZE;
    for (index = 0; index < gpu->shares; index++) {
        to[index] = gpu->busy[index];
        to[index].time = now();
    }
    return SUCCESS;
}

int nvmlDeviceGetCurrentClocksEventReasons(void *handle, u64 *reasons)
{
    gpu_t *gpu;
    int code = find(__func__, handle, &gpu);
    if (code == SUCCESS)
        *reasons = gpu->reasons;
    return code ? code : gpu->parent ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetPersistenceMode(void *handle, unsigned *mode)
{
    gpu_t *gpu;
    int code = find(__func__, handle, &gpu);
    if (code == SUCCESS)
        *mode = (unsigned)gpu->persistence;
    return code;
}

int nvmlDeviceGetAccountingMode(void *handle, unsigned *mode)
{
    gpu_t *gpu;
    int code = find(__func__, handle, &gpu);
    if (code == SUCCESS)
        *mode = gpu->peaks.count > 0;
    return code ? code : gpu->parent ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetAccountingStats(void *handle, unsigned pid, accounting_t *stats)
{
    gpu_t *gpu;
    unsigned index;
    int code = find(__func__, handle, &gpu);
    for (index = 0; code == SUCCESS && index < gpu->peaks.count; index++)
        if (gpu->peaks.all[index].pid == pid) {
            memset(stats, 0, sizeof *stats);
            stats->peak = gpu->peaks.all[index].used;
            return SUCCESS;
        }
    return code ? code : NOT_FOUND;
}

int nvmlEventSetCreate(void **set)
{
    look(__func__);
    *set = &told;
    return initialized ? SUCCESS : UNINITIALIZED;
}

int nvmlEventSetFree(void *set)
{
    (void)set;
    look(__func__);
    return SUCCESS;
}

int nvmlDeviceRegisterEvents(void *handle, u64 types, void *set)
{
    gpu_t *gpu;
    int code = find(__func__, handle, &gpu);
    (void)set;
    if (code == SUCCESS) {
        registered[gpu - state.all] = 1;
        told[gpu - state.all] = gpu->xid_number; /* what was before is not told */
    }
    return code ? code : types == XID_EVENT ? SUCCESS : NOT_SUPPORTED;
}

int nvmlEventSetWait_v2(void *set, event_t *event, unsigned milliseconds)
{
    unsigned place;
    (void)set;
    (void)milliseconds;
    look(__func__);
    if (state.event_code)
        return state.event_code;
    for (place = 0; place < state.count; place++)
        if (registered[place] && state.all[place].xid_number > told[place]) {
            told[place] = state.all[place].xid_number;
            event->device = (void *)(size_t)(place + 1);
            event->type = XID_EVENT;
            event->data = state.all[place].xid;
            event->gpu_instance = event->compute_instance = 0xFFFFFFFFu;
            return SUCCESS;
        }
    return TIMEOUT;
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
