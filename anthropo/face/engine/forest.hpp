// dlib's shape predictor: cascades of regression trees (Kazemi & Sullivan 2014, CVPR), evaluated so that
// landmarks stay sub-pixel and many jittered boxes share one pass over the forests.

#pragma once

#include <cstddef>
#include <vector>

#include "arrays.hpp"
#include "images.hpp"
#include "packed.hpp"

namespace anthropo {

// dlib's feature pixels: fixed places relative to the mean shape, carried to the current shape by the
// least-squares similarity and then into the image by `map`, which takes the box (0, 0) to (1, 1) there; 0
// beyond the image.
void read_features(const Image& im, const double* map, const float* mean, const float* shape, size_t points,
                   const Delta* d, size_t n, float* out);

class ShapePredictor {
public:
    // a read-only array: what was checked must stay as it is
    explicit ShapePredictor(Bytes packed);

    std::uint32_t points() const { return h_.points; }

    // the mean shape, (P, 2), in a box whose corners are (0, 0) and (1, 1)
    py::array_t<double> mean_shape() const;

    // image (H, W[, 3]) and boxes (K, 4) of left, top, right, bottom -> landmarks (K, P, 2)
    py::array_t<double> predict(const Bytes& image, const py::array& boxes) const;

    // The whole way from a detected box to landmarks, in one go without the interpreter's lock:
    // one evaluation in the box tells how the head is rolled and how large it is; the jittered ones
    // work on the face brought upright, each on the face and on its mirror image.
    //   jitter (K, 3): shift x and y in boxes, factor of the size; mirror (P,): whose image each point is
    // -> landmarks (2 K, P, 2) in image pixels, the aligned face (grey, not stretched)
    py::tuple align(const Bytes& image, const py::array& box, const py::array& jitter, const py::array& mirror,
                    double first_box, double chip_box, double pad, int contrast) const;

private:
    void predict_into(const Image& im, const double* boxes, size_t n, double* out) const;
    void predict_some(const Image& im, const double* boxes, size_t n, double* out) const;

    const char* cascade(std::uint32_t c) const { return base_ + layout_.first_cascade + size_t(c) * layout_.cascade; }
    const Split* splits(std::uint32_t c) const { return reinterpret_cast<const Split*>(cascade(c)); }
    const float* leaves(std::uint32_t c) const { return reinterpret_cast<const float*>(cascade(c) + layout_.splits); }
    const Delta* deltas(std::uint32_t c) const {
        return reinterpret_cast<const Delta*>(base_ + layout_.first_features + size_t(c) * layout_.features);
    }

    Bytes packed_;
    const char* base_ = nullptr;
    const float* shape_ = nullptr;
    Header h_{};
    Layout layout_{};
};

}  // namespace anthropo
