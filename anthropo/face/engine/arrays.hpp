// What every part of the engine takes from Python, and how it is checked.
//
// Coordinates: x to the right, y down, the centre of the top-left pixel is (0, 0), as in dlib.
// Images: uint8 arrays, (H, W) or (H, W, 3), C-contiguous. Every heavy call releases the GIL.

#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>

// One build serves every x86-64 machine of a cluster: the hot loops are compiled three times and the
// choice is made at load time. No fused multiply-add (setup.py): results are the same bit for bit.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#define HOT __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define HOT
#endif

namespace anthropo {

namespace py = pybind11;

using Bytes = py::array_t<std::uint8_t, py::array::c_style>;
using Doubles = py::array_t<double, py::array::c_style | py::array::forcecast>;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

constexpr long ANY = -1;  // a length that may be what it likes

inline void require(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

// the array has these lengths, one for each dimension
inline void require_shape(const py::array& a, std::initializer_list<long> lengths, const char* message) {
    require(a.ndim() == py::ssize_t(lengths.size()), message);
    py::ssize_t i = 0;
    for (long n : lengths) {
        require(n == ANY || a.shape(i) == n, message);
        ++i;
    }
}

// Every number is finite and no larger than any photo, so that places can be counted in integers.
template <typename T>
void require_finite(const T* values, size_t n, const char* message) {
    for (size_t i = 0; i < n; ++i) require(std::abs(double(values[i])) < 1e7, message);
}

template <typename Array>
void require_finite(const Array& values, const char* message) {
    require_finite(values.data(), size_t(values.size()), message);
}

}  // namespace anthropo
