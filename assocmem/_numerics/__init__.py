"""Numbers for the kernels: array types, checks of arguments, bits, SIMD, rotation, threads. Private."""
