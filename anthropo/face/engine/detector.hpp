// dlib's frontal face detector.

#pragma once

#include <memory>

#include "arrays.hpp"

namespace anthropo {

// Unpacking and factorising dlib's filters takes a quarter of a second, so the result is stored once and
// read back in milliseconds.
class FaceDetector {
public:
    static py::array_t<std::uint8_t> pack();
    explicit FaceDetector(const Bytes& packed);

    // rows: left, top, right, bottom (inclusive), score, index of the view's filter
    py::array_t<double> detect(const Bytes& image, double threshold, unsigned long max_levels) const;

private:
    struct Filters;  // so that dlib's headers are compiled in one file
    std::shared_ptr<const Filters> filters_;
};

}  // namespace anthropo
