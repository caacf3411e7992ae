/* Stands in for the kernel's header of this name: just the words that include/linux/mlx5/{mlx5_ifc,device}.h take for granted. */
#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define GENMASK(high, low) ((BIT((high) - (low) + 1) - 1) << (low))
#define DECLARE_FLEX_ARRAY(type, name) type name[0]
#define PAGE_SIZE 4096
#define __LITTLE_ENDIAN 1234
#define __packed __attribute__((packed))

struct ib_grh {
	u8 bytes[40];
};
