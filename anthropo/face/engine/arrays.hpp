// What every part of the engine takes from Python, and how it is checked.
//
// Coordinates: x to the right, y down, the centre of the top-left pixel is (0, 0), as in dlib.
// Images: uint8 arrays, (H, W) or (H, W, 3), C-contiguous. Every heavy call releases the GIL.
// Numbers come as copies: another thread may write to the array while the GIL is released.

#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

// One build serves every x86-64 machine of a cluster: the hot loops are compiled three times and the
// choice is made at load time. No fused multiply-add (setup.py): results are the same bit for bit.
// (The choice is made before AddressSanitizer is ready, so that a build with it does without.)
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__) && \
    !defined(__SANITIZE_ADDRESS__)
#define HOT __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define HOT
#endif

namespace anthropo {

namespace py = pybind11;

using Bytes = py::array_t<std::uint8_t, py::array::c_style>;

constexpr long ANY = -1;            // a length that may be what it likes, up to
constexpr long MOST_ROWS = 10000;   // so many
constexpr double LARGEST = 1e7;     // no number is larger, so that places can be counted in integers
constexpr long LONGEST_SIDE = 1 << 24, MOST_PIXELS = 1 << 29;

inline void require(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

inline void require(bool holds, const std::string& message) {
    if (!holds) throw std::invalid_argument(message);
}

inline bool sane(double value) { return std::abs(value) < LARGEST; }  // no NaN, either

// whether no number in memory is NaN, infinite, or as large as `limit`
bool all_within(const float* values, size_t n, float limit);

// Sizes that a file or a caller states are multiplied and added only so: what does not fit is refused.
size_t times(size_t a, size_t b);
size_t plus(size_t a, size_t b);

// The numbers of an array of these lengths, one for each dimension; `name` begins every refusal.
std::vector<double> numbers(const py::array& array, std::initializer_list<long> lengths, const std::string& name);

// All numbers of an array of any shape, in single precision.
std::vector<float> floats(const py::array& array, const std::string& name);

}  // namespace anthropo
