/* The C interface of Vocalizer. Generated from src/lib.rs: .ci/capi --accept. */

#ifndef VOCALIZER_H
#define VOCALIZER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

// A loaded model.
struct VocalizerModel;

// Called with the finished fraction, from 0 to 1, and the caller's context. A result other than 0 cancels.
typedef int32_t (*VocalizerProgress)(double done, void *context);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Returns the last error of this thread: a text that is valid until the next call on this thread.
const char *vocalizer_error(void);

// Loads a model: a name such as `htdemucs`, whose weights are downloaded once, or the path of a weights file. `device` is
// `auto`, `cpu`, or what `vocalizer devices` prints; null is `cpu`. Returns null after an error.
//
// # Safety
//
// `name` is a text that ends with 0, and so is `device` unless it is null.
struct VocalizerModel *vocalizer_load(const char *name,
                                      const char *device);

// Frees a model. Null is allowed.
//
// # Safety
//
// `model` comes from `vocalizer_load`, is freed once, and is not in use.
void vocalizer_free(struct VocalizerModel *model);

// Returns the number of stems of a model.
//
// # Safety
//
// `model` comes from `vocalizer_load` and is not freed.
uintptr_t vocalizer_stem_count(const struct VocalizerModel *model);

// Returns the name of a stem, such as `vocals`: a text that lives as long as the model; null if there is no such stem.
//
// # Safety
//
// `model` comes from `vocalizer_load` and is not freed.
const char *vocalizer_stem_name(const struct VocalizerModel *model,
                                uintptr_t index);

// Splits a song. `samples` has `frames` pairs of a left and a right sample, with full scale at -1 and 1, at `rate_hz`.
// `stems` has an array for each stem, in the order of `vocalizer_stem_name`, each as long as `samples`; they are filled.
// `progress` may be null.
//
// Returns 0, or -1 after an error; `vocalizer_error` then says why. The arrays may then be partly filled.
//
// # Safety
//
// `model` comes from `vocalizer_load` and is not freed. `samples` has `2 * frames` values, and so has each of the arrays in
// `stems`, which do not overlap. `progress` may be called with `context` until this function returns, on the same thread.
int32_t vocalizer_split(const struct VocalizerModel *model,
                        const float *samples,
                        uintptr_t frames,
                        uint32_t rate_hz,
                        float *const *stems,
                        VocalizerProgress progress,
                        void *context);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VOCALIZER_H */
