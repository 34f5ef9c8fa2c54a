// Training of dlib's shape predictor: gradient boosting of cascaded regression trees (Kazemi & Sullivan 2014,
// CVPR), by dlib's recipe. docs/decisions says why dlib's own loop is not called.

#pragma once

#include <cstdint>

#include "arrays.hpp"

namespace anthropo {

struct Recipe {
    std::uint32_t cascades, trees, depth, features, candidates;
    double nu, lambda, padding;
    std::uint64_t seed;
    unsigned threads;
};

// The packed predictor that `recipe` makes of N faces.
//   chips: grey pictures (H, W); of_chip (N,): which of them each face is in; maps (N, 2, 3): takes the box
//   (0, 0) to (1, 1), from which the face is predicted, to its chip; targets (N, P, 2): the points in the box;
//   known (N, P): 0 where a point is not; starts (N, P, 2): where prediction of each begins, in the box;
//   mean (P, 2): where the predictor itself begins;
//   report(done, total): called a few times a second; what it raises ends the training
py::array_t<std::uint8_t> train_shape_predictor(const py::list& chips, const py::array& of_chip,
                                                const py::array& maps, const py::array& targets, const Bytes& known,
                                                const py::array& starts, const py::array& mean, const Recipe& recipe,
                                                const py::object& report);

// What pack_shape_predictor makes a block of: the content of the .dat file that dlib reads.
py::bytes unpack_shape_predictor(const Bytes& packed);

}  // namespace anthropo
