import { LocalError } from '../service.ts';

/**
 * The program that holds a pod's namespaces open: the whole of it, as machine code, so that no compiler and no registry
 * is needed. It ignores SIGCHLD, so that the kernel reaps the orphans of a pod with a shared process namespace
 * (wait(2)), then sleeps for ever. SIGTERM does not end it: containerd ends sandboxes by SIGKILL.
 *
 * @throws LocalError on a processor that it was not written for
 */
export function pauseProgram(arch: string = process.arch): Buffer {
  switch (arch) {
    case 'x64':
      return elf(62, X64);
    case 'arm64':
      return elf(183, ARM64);
    default:
      throw new LocalError(`a Kubernetes node on a ${arch} processor is not supported; use x64 or arm64`);
  }
}

/** Numbers of system calls: syscalls(2); of registers and signals: syscall(2), signal(7). */
const X64 = Buffer.from(
  [
    'b80d000000', //     mov eax, 13        rt_sigaction(
    'bf11000000', //     mov edi, 17          SIGCHLD,
    '488d3517000000', // lea rsi, [rip+23]    action,
    '31d2', //           xor edx, edx         NULL,
    '41ba08000000', //   mov r10d, 8          8)
    '0f05', //           syscall
    'b822000000', //     mov eax, 34        pause()
    '0f05', //           syscall
    'ebf7', //           jmp -9
    '90909090', //       nop                (action begins at a multiple of 8)
    // struct kernel_sigaction: handler SIG_IGN (1), flags, restorer, mask
    '0100000000000000'.padEnd(64, '0'),
  ].join(''),
  'hex',
);

const ARM64 = words([
  0xd28010c8, // movz x8, #134   rt_sigaction(
  0xd2800220, // movz x0, #17      SIGCHLD,
  0x100001c1, // adr  x1, +56      action,
  0xd2800002, // movz x2, #0       NULL,
  0xd2800103, // movz x3, #8       8)
  0xd4000001, // svc  #0
  0xd2800000, // movz x0, #0     ppoll(NULL,
  0xd2800001, // movz x1, #0       0,
  0xd2800002, // movz x2, #0       NULL,
  0xd2800003, // movz x3, #0       NULL,
  0xd2800004, // movz x4, #0       0)
  0xd2800928, // movz x8, #73
  0xd4000001, // svc  #0
  0x17fffff9, // b    -28
  0xd503201f, // nop
  0xd503201f, // nop
  // struct kernel_sigaction: handler SIG_IGN (1), flags, mask
  ...[1, 0, 0, 0, 0, 0, 0, 0],
]);

function words(values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    buffer.writeUInt32LE(value, index * 4);
  });
  return buffer;
}

/** A static executable of one readable and executable segment (elf(5)). */
function elf(machine: number, code: Buffer): Buffer {
  const address = 0x400000n;
  const headers = 64 + 56;
  const header = Buffer.alloc(headers);
  header.write('\x7fELF\x02\x01\x01', 0, 'latin1');
  header.writeUInt16LE(2, 16); // ET_EXEC
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20); // EV_CURRENT
  header.writeBigUInt64LE(address + BigInt(headers), 24); // entry
  header.writeBigUInt64LE(64n, 32); // program headers begin
  header.writeUInt16LE(64, 52); // size of this header
  header.writeUInt16LE(56, 54); // size of a program header
  header.writeUInt16LE(1, 56); // how many
  const size = BigInt(headers + code.length);
  header.writeUInt32LE(1, 64); // PT_LOAD
  header.writeUInt32LE(5, 68); // readable, executable
  header.writeBigUInt64LE(0n, 72); // offset
  header.writeBigUInt64LE(address, 80);
  header.writeBigUInt64LE(address, 88);
  header.writeBigUInt64LE(size, 96); // in the file
  header.writeBigUInt64LE(size, 104); // in memory
  header.writeBigUInt64LE(0x1000n, 112); // alignment
  return Buffer.concat([header, code]);
}
