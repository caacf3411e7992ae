/* Stands in for the kernel's header of this name and for all that it includes: just the words that include/linux/mlx5/{qp,cq,doorbell}.h take
   for granted. Functions are here so that theirs compile; none is ever called. */
#pragma once

#define __iomem
#define struct_group(name, ...) __VA_ARGS__
#define container_of(pointer, type, member) ((type *)(void *)(pointer))
#define cpu_to_be32(value) (value)
#define be32_to_cpu(value) (value)
#define wmb()
#define BITS_PER_LONG 64
#define __raw_writeq(...)
#define print_hex_dump(...)
#define complete(it) ((void)(it))
#define mlx5_get_roce_state(device) ((device) != 0)

struct ib_ah {
};
struct completion {
};
struct list_head {
};
struct mlx5_core_rsc_common {
};
struct mlx5_core_dev {
	struct {
		struct {
			void *cur;
		} *hca[MLX5_CAP_NUM];
	} caps;
};

#include <linux/mlx5/doorbell.h>
