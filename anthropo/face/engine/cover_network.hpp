// What of a face is seen, and what is hidden.

#pragma once

#include <cstddef>
#include <vector>

#include "layers.hpp"

namespace anthropo {

// A small U-shaped network (Ronneberger et al. 2015) that sees a square picture in colour. Convolutions of
// stride 2 lead down, one of stride 1 follows; each step up doubles the side, puts what the way down had at
// that side beside it, and convolves both. The last convolution's k x k outputs are k x k places of the map.
class CoverNetwork {
public:
    // weights: (side, side, in, out) arrays, `down` of them on the way down; biases likewise
    CoverNetwork(const py::list& weights, const py::list& biases, size_t down, size_t side);

    size_t map_side() const { return reached_ * block_; }

    // picture (side, side, 3) -> probabilities (M, M)
    py::array_t<float> predict(const Bytes& picture) const;

private:
    size_t side_, reached_ = 0, block_ = 0;  // of the picture, of the last layer's output, of its blocks
    std::vector<Layer> down_, up_;
    std::vector<Layer> ends_;  // the middle and the last layer
};

}  // namespace anthropo
