/* Splits two seconds of a chord and prints the loudness of each stem: split MODEL */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../include/vocalizer.h"

static int report(double done, void *context) {
  *(double *)context = done;
  return 0; /* any other value cancels */
}

int main(int count, char **arguments) {
  const unsigned rate_hz = 44100;
  const size_t frames = 2 * rate_hz;
  struct VocalizerModel *model = vocalizer_load(count > 1 ? arguments[1] : "htdemucs", NULL);
  if (!model) {
    fprintf(stderr, "cannot load the model: %s\n", vocalizer_error());
    return 1;
  }
  float *song = malloc(2 * frames * sizeof *song);
  for (size_t i = 0; i < frames; i++) {
    double t = (double)i / rate_hz;
    song[2 * i] = song[2 * i + 1] = (float)(0.2 * sin(2 * M_PI * 220 * t) + 0.2 * sin(2 * M_PI * 330 * t));
  }
  size_t stems = vocalizer_stem_count(model);
  float **outputs = malloc(stems * sizeof *outputs);
  for (size_t k = 0; k < stems; k++) outputs[k] = malloc(2 * frames * sizeof **outputs);
  double done = 0;
  if (vocalizer_split(model, song, frames, rate_hz, outputs, report, &done) != 0) {
    fprintf(stderr, "cannot split: %s\n", vocalizer_error());
    return 1;
  }
  for (size_t k = 0; k < stems; k++) {
    double energy = 0;
    for (size_t i = 0; i < 2 * frames; i++) energy += outputs[k][i] * outputs[k][i];
    printf("%s %.4f\n", vocalizer_stem_name(model, k), sqrt(energy / (double)(2 * frames)));
    free(outputs[k]);
  }
  printf("done %.2f\n", done);
  free(outputs);
  free(song);
  vocalizer_free(model);
  return 0;
}
