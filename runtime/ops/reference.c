#include "ops/reference.h"

#include <math.h>

double rp_reference_activate(double x, rp_op_activation activation) {
    switch (activation) {
    case RP_OP_GELU:
        return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
    case RP_OP_GELU_TANH:
        return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case RP_OP_RELU:
        return x > 0 ? x : 0;
    case RP_OP_TANH:
        return tanh(x);
    default:
        return x;
    }
}
