#include "task.h"

#include <math.h>

void rp_softmax(float *values, size_t count) {
    float largest = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        if (values[i] > largest) largest = values[i];
    for (size_t i = 0; i < count; i++) sum += exp((double)values[i] - largest);
    for (size_t i = 0; i < count; i++) values[i] = (float)(exp((double)values[i] - largest) / sum);
}

float rp_sigmoid(float value) {
    return (float)(1 / (1 + exp(-(double)value)));
}
