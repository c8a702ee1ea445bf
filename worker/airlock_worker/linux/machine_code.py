"""Instructions of x86-64, for a process in which no Python code can run. Assembled here because the standard library
has no assembler.

Code is put together from its end, so that a jump can name the code that it goes over.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from .syscalls import number_of

# Instructions that load the arguments of a system call (rdi, rsi, rdx, r10, r8): a constant of four bytes; the eight
# bytes at rbx plus an offset; the stack pointer.
_CONSTANT = (b"\xbf", b"\xbe", b"\xba", b"\x41\xba", b"\x41\xb8")
_AT_RBX = (b"\x48\x8b\xbb", b"\x48\x8b\xb3", b"\x48\x8b\x93", b"\x4c\x8b\x93", b"\x4c\x8b\x83")
_STACK_POINTER = (b"\x48\x89\xe7", b"\x48\x89\xe6", b"\x48\x89\xe2", b"\x49\x89\xe2", b"\x49\x89\xe0")
# mov eax, constant; mov rax, [rbx + offset]; mov [rbx + offset], rax
_NUMBER, _NUMBER_AT_RBX, _RESULT_AT_RBX = b"\xb8", b"\x48\x8b\x83", b"\x48\x89\x83"
# cmp eax, constant of one byte; syscall; call rax and movsxd rax, eax, because functions of libc return four bytes.
_COMPARE, _CALL, _CALL_OF_FUNCTION = b"\x83\xf8", b"\x0f\x05", b"\xff\xd0\x48\x63\xc0"
_JUMP_BYTES = 4

# push rbx; push r12; mov rbx, rdi; mov r12, rsp: rbx points to the function's argument, r12 keeps the caller's stack.
BEGIN = b"\x53\x41\x54\x48\x89\xfb\x49\x89\xe4"
# mov rsp, r12; xor eax, eax: back on the caller's stack, with the result 0.
ZERO_ON_CALLERS_STACK = b"\x4c\x89\xe4\x31\xc0"
# pop r12; pop rbx; ret
RETURN = b"\x41\x5c\x5b\xc3"
# test rax, rax
TEST = b"\x48\x85\xc0"
# Conditions of jumps, about the tested or compared result.
IF_NEGATIVE, IF_ZERO, UNLESS_ZERO, UNLESS_NEGATIVE, ALWAYS = b"\x0f\x88", b"\x0f\x84", b"\x0f\x85", b"\x0f\x89", b"\xe9"
IF_EQUAL = IF_ZERO

# Where the kernel puts a program's file, and the bytes of its two headers.
_PLACE, _PAGE, _FILE_HEADER, _SEGMENT_HEADER = 0x400000, 0x1000, 64, 56


@dataclass(frozen=True)
class Field:
    """Eight bytes at this offset from the function's argument."""

    offset: int


Argument = int | Field | Literal["stack"]


def system_call(name: str | Field, *arguments: Argument) -> bytes:
    code = b"".join(_load(at, argument) for at, argument in enumerate(arguments))
    if isinstance(name, Field):
        return code + _NUMBER_AT_RBX + struct.pack("<i", name.offset) + _CALL
    return code + _NUMBER + struct.pack("<I", number_of(name)) + _CALL


def _load(at: int, argument: Argument) -> bytes:
    match argument:
        case int(constant):
            return _CONSTANT[at] + struct.pack("<I", constant)
        case Field(offset):
            return _AT_RBX[at] + struct.pack("<i", offset)
        case _:
            return _STACK_POINTER[at]


def function_call(address: Field) -> bytes:
    """A call of a function of C that has no argument."""
    return _NUMBER_AT_RBX + struct.pack("<i", address.offset) + _CALL_OF_FUNCTION


def keep_result(field: Field) -> bytes:
    return _RESULT_AT_RBX + struct.pack("<i", field.offset)


def compare(constant: int) -> bytes:
    return _COMPARE + bytes([constant])


def over(condition: bytes, code: bytes) -> bytes:
    """A jump over `code`, which must follow."""
    return condition + struct.pack("<i", len(code))


def back(condition: bytes, code: bytes) -> bytes:
    """A jump to the beginning of `code`, which must be right before it."""
    return condition + struct.pack("<i", -len(code) - len(condition) - _JUMP_BYTES)


def executable(code: bytes) -> bytes:
    """An ELF file with this code, which begins at the first byte."""
    headers = _FILE_HEADER + _SEGMENT_HEADER
    size = headers + len(code)
    file = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    file += struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, _PLACE + headers, _FILE_HEADER, 0, 0, _FILE_HEADER, _SEGMENT_HEADER, 1, 0, 0, 0
    )
    return file + struct.pack("<IIQQQQQQ", 1, 5, 0, _PLACE, _PLACE, size, size, _PAGE) + code
