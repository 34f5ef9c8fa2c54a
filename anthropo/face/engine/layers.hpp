// What the engine's networks are made of: layers whose innermost loop runs over several outputs at once.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "arrays.hpp"

namespace anthropo {

// Outputs that are computed together: a register or two.
constexpr size_t LANES = 16;
constexpr size_t MOST_FLOATS = 1 << 24;  // of a layer's weights, inputs or outputs

inline size_t padded(size_t channels) { return (channels + LANES - 1) / LANES * LANES; }

struct Layer {
    size_t side;     // of the kernel; 0: fully connected
    size_t in, out;  // channels as they lie in memory, the outputs padded to whole lanes
    std::vector<float> weights, bias;
};

// Channels of a layer's input that lie beside each other, and the room that they take.
struct Channels {
    size_t count, room;
};

// The arrays of a list.
std::vector<py::array> arrays(const py::list& items);

// A layer from its weights, of which each pixel has the channels of `inputs` one after the other, and biases.
Layer layer_of(const py::array& weights, const py::array& biases, size_t kernel, size_t pixels,
               const std::vector<Channels>& inputs);

// exposure and contrast taken out, but noise in a flat patch not blown up
void standardise(const std::vector<std::uint8_t>& patch, std::vector<float>& out);

// A convolution with zero padding at every `step`th pixel of a square of this side; `columns` is room.
void convolve(const std::vector<float>& in, size_t side, size_t step, const Layer& layer, float floor,
              std::vector<float>& columns, std::vector<float>& out);

// A fully connected layer.
void connect(const std::vector<float>& in, const Layer& layer, float floor, std::vector<float>& out);

constexpr float ANY_VALUE = -1e30f;  // the floor of a layer without one

}  // namespace anthropo
