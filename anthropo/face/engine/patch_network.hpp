// The second landmark stage's networks.

#pragma once

#include <cstddef>
#include <vector>

#include "layers.hpp"

namespace anthropo {

// A small convolutional network that sees a square grey patch: convolutions of stride 2 with zero
// padding, one hidden layer, points. Batch normalisation is worked into the weights.
class PatchNetwork {
public:
    // weights: (side, side, in, out) arrays, then (in, hidden), then (hidden, 2 points); biases likewise
    PatchNetwork(const py::list& weights, const py::list& biases, size_t patch);

    size_t points() const { return points_; }

    // image (H, W) and maps (N, 2, 3) that take patch pixels to image pixels -> (N, P, 2) in patch pixels
    py::array_t<double> predict(const Bytes& image, const py::array& maps) const;

private:
    size_t patch_, points_ = 0;
    std::vector<Layer> layers_;
};

}  // namespace anthropo
