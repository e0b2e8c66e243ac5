/* Vectors and reset of QEMU's mps3-an547; files and exit go to the host by
 * semihosting (newlib's rdimon).
 *
 * A fault ends QEMU with exit status 99 instead of hanging.
 */
#include <stdint.h>
#include <string.h>

extern uint8_t __data_start[], __data_end[], __data_load[];
extern uint8_t __bss_start[], __bss_end[];

/* The linker script's; declared as what the vector table holds. */
void __stack_top(void);

int main(int argc, char **argv);
void initialise_monitor_handles(void);
void __libc_init_array(void);
void exit(int status);
void _init(void);
void _fini(void);
void Reset_Handler(void);

enum {
  SYS_GET_CMDLINE = 0x15,
  SYS_EXIT_EXTENDED = 0x20,
  APPLICATION_EXIT = 0x20026,
  FAULT_STATUS = 99,
  MAX_ARGUMENTS = 8
};

static char command_line[512];
static char *arguments[MAX_ARGUMENTS + 1];

/* __libc_init_array calls them; there is nothing to do. */
void _init(void) {}
void _fini(void) {}

static int32_t semihosting(int32_t operation, void *block) {
  register int32_t result __asm__("r0") = operation;
  register void *argument __asm__("r1") = block;
  __asm__ volatile("bkpt 0xAB" : "+r"(result) : "r"(argument) : "memory");
  return result;
}

static void fault(void) {
  uint32_t block[2] = {APPLICATION_EXIT, FAULT_STATUS};
  (void)semihosting(SYS_EXIT_EXTENDED, block);
  for (;;) {
  }
}

/* Splits the command line at blanks. */
static int read_arguments(void) {
  struct {
    char *text;
    int32_t length;
  } block = {command_line, (int32_t)sizeof command_line - 1};
  int count = 0;
  if (semihosting(SYS_GET_CMDLINE, &block) != 0) {
    return 0;
  }
  for (char *word = strtok(command_line, " ");
       (word != NULL) && (count < MAX_ARGUMENTS); word = strtok(NULL, " ")) {
    arguments[count] = word;
    ++count;
  }
  return count;
}

__attribute__((noreturn)) void Reset_Handler(void) {
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: FPU and Helium */
  *(volatile uint32_t *)0xE000ED14u |= 3u << 18;   /* CCR: LOB, branches */
  __asm__ volatile("dsb\n\tisb");
  memcpy(__data_start, __data_load, (size_t)(__data_end - __data_start));
  memset(__bss_start, 0, (size_t)(__bss_end - __bss_start));
  initialise_monitor_handles();
  __libc_init_array();
  const int count = read_arguments();
  exit(main(count, arguments));
  for (;;) {
  }
}

typedef void (*vector_t)(void);

__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    __stack_top, Reset_Handler, fault, fault, fault, fault, fault, fault,
    fault,       fault,         fault, fault, fault, fault, fault, fault};
