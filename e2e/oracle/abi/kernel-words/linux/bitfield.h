/* Stands in for the kernel's header of this name, of which include/linux/mlx5/device.h needs nothing that we ask about. */
