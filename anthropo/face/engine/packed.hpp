// The packed shape predictor: one flat block, checked as a whole before a number of it is used.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "arrays.hpp"

namespace anthropo {

// A 64-bit sum of bytes in blocks of 64, which an accident does not leave as it was (a forger can): the
// sums of eight lanes of words, and the sums of these sums, which know the order (Fletcher 1982), folded in
// the end. Every start sums the landmark model up: 66 MB in 10 ms.
class Checksum {
public:
    void add(const void* data, size_t size);  // size is a multiple of 64
    std::uint64_t value() const;

private:
    static constexpr int LANES = 8;
    std::uint64_t sums_[LANES] = {1, 2, 3, 4, 5, 6, 7, 8};
    std::uint64_t sums_of_sums_[LANES] = {};
};

constexpr char PACKED_MAGIC[8] = {'a', 'n', 't', 'h', 's', 'p', '0', '2'};
constexpr std::uint32_t MOST_FEATURES = 4096;  // pixels that a trained cascade looks at

struct Header {  // the first 64 bytes, little-endian
    char magic[8];
    std::uint64_t checksum;  // of the whole block, with zero in this place
    std::uint32_t points, cascades, trees, leaves, features;
    std::uint32_t reserved[7];
};
static_assert(sizeof(Header) == 64, "the packed header is 64 bytes");

struct Split {
    std::uint16_t first, second;
    float threshold;
};

struct Delta {
    std::uint32_t anchor;
    float x, y;
};

// Header, mean shape, then per cascade: splits of every tree, leaves of every tree; then every cascade's
// features, which come last in dlib's file as well. Each block starts at a multiple of 64 bytes.
// Counts beyond what a predictor can have are refused, so that no size below overflows.
struct Layout {
    size_t shape, first_cascade, splits, leaves, cascade, first_features, features, total;
    Layout() = default;
    explicit Layout(const Header& h);
};

// Rewrites dlib's serialised shape predictor, the content of a .dat file, as such a block.
py::array_t<std::uint8_t> pack_shape_predictor(const Bytes& dat);

// Whether the points of a mean shape lie far enough apart that boxes can be turned by them.
bool spread_out(const float* shape, size_t points);

// The last thing that is done to a block: its header with its checksum, in its place.
void seal(Header h, std::vector<char>& block);

// A block as a read-only array, without a copy.
py::array_t<std::uint8_t> as_block(std::unique_ptr<std::vector<char>> block);

// The header of a packed block; std::invalid_argument unless the block is whole and its numbers fit.
Header check_packed(const char* block, size_t size);

}  // namespace anthropo
