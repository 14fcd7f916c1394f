/* The activations that a matmul can end with. */
#ifndef RP_OPS_ACTIVATION_H
#define RP_OPS_ACTIVATION_H

/* ACTIVATION_* of shaders/common.glsl. */
typedef enum rp_op_activation {
    RP_OP_NONE = 0,
    RP_OP_GELU,      /* with the error function */
    RP_OP_GELU_TANH, /* the approximation by tanh, "gelu_new" */
    RP_OP_RELU,
    RP_OP_TANH,
} rp_op_activation;

#endif
