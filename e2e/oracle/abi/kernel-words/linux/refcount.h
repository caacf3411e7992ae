/* Stands in for the kernel's header of this name, for include/linux/mlx5/cq.h. */
#pragma once

typedef int refcount_t;
#define refcount_inc(count) ((void)(count))
#define refcount_dec_and_test(count) ((count) != 0)
