// dlib's shape predictor: cascades of regression trees (Kazemi & Sullivan 2014, CVPR), evaluated so that
// landmarks stay sub-pixel and many jittered boxes share one pass over the forests.

#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "images.hpp"

namespace anthropo {

struct Header {  // the packed predictor's first 64 bytes, little-endian
    char magic[8];
    std::uint32_t points, cascades, trees, leaves, features;
    std::uint32_t reserved[9];
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

// Layout: header, mean shape, then per cascade: features, splits of every tree, leaves of every
// tree. Each block starts at a multiple of 64 bytes.
struct Layout {
    size_t shape, first_cascade, features, splits, leaves, cascade, total;
    Layout() = default;
    explicit Layout(const Header& h);
};

// Rewrites dlib's serialised shape predictor as one flat block that can be memory-mapped.
py::bytes pack_shape_predictor(const std::string& path);

class ShapePredictor {
public:
    explicit ShapePredictor(Bytes packed);

    std::uint32_t points() const { return h_.points; }

    // the mean shape, (P, 2), in a box whose corners are (0, 0) and (1, 1)
    py::array_t<double> mean_shape() const;

    // image (H, W[, 3]) and boxes (K, 4) of left, top, right, bottom -> landmarks (K, P, 2)
    py::array_t<double> predict(const Bytes& image, const Doubles& boxes) const;

    // The whole way from a detected box to landmarks, in one go without the interpreter's lock:
    // one evaluation in the box tells how the head is rolled and how large it is; the jittered ones
    // work on the face brought upright, each on the face and on its mirror image.
    //   jitter (K, 3): shift x and y in boxes, factor of the size; mirror (P,): whose image each point is
    // -> landmarks (2 K, P, 2) in image pixels, the aligned face (grey, not stretched)
    py::tuple align(const Bytes& image, const Doubles& box, const Doubles& jitter, const Doubles& mirror,
                    double first_box, double chip_box, double pad, int contrast) const;

private:
    void predict_into(const Image& im, const double* boxes, size_t n, double* out) const;

    const char* cascade(std::uint32_t c) const { return base_ + layout_.first_cascade + size_t(c) * layout_.cascade; }
    const Delta* deltas(std::uint32_t c) const { return reinterpret_cast<const Delta*>(cascade(c)); }
    const Split* splits(std::uint32_t c) const {
        return reinterpret_cast<const Split*>(cascade(c) + layout_.features);
    }
    const float* leaves(std::uint32_t c) const {
        return reinterpret_cast<const float*>(cascade(c) + layout_.features + layout_.splits);
    }

    Bytes packed_;
    const char* base_ = nullptr;
    const float* shape_ = nullptr;
    Header h_{};
    Layout layout_{};
};

}  // namespace anthropo
