#include "forest.hpp"

#include <dlib/image_processing/shape_predictor.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

namespace anthropo {

namespace {

constexpr char MAGIC[8] = {'a', 'n', 't', 'h', 's', 'p', '0', '1'};

size_t padded(size_t n) { return (n + 63) / 64 * 64; }

// (x, y) -> (a x - s y, s x + a y) about the middles f and t: the least-squares similarity that lays the
// mean shape on others of its points
struct Similarity {
    double a, s, fx, fy, tx, ty;

    void take(double* matrix) const {  // as (2, 3)
        const double result[6] = {a, -s, tx - a * fx + s * fy, s, a, ty - s * fx - a * fy};
        std::copy(result, result + 6, matrix);
    }
};

template <typename T>
inline Similarity similarity(const float* mean, const T* shape, size_t points) {
    double fx = 0, fy = 0, tx = 0, ty = 0, a = 0, s = 0, norm = 0;
    for (size_t j = 0; j < points; ++j)
        fx += mean[2 * j], fy += mean[2 * j + 1], tx += shape[2 * j], ty += shape[2 * j + 1];
    fx /= double(points), fy /= double(points), tx /= double(points), ty /= double(points);
    for (size_t j = 0; j < points; ++j) {
        const double u = mean[2 * j] - fx, v = mean[2 * j + 1] - fy;
        const double p = shape[2 * j] - tx, q = shape[2 * j + 1] - ty;
        a += u * p + v * q, s += u * q - v * p, norm += u * u + v * v;
    }
    return {a / norm, s / norm, fx, fy, tx, ty};
}

// dlib's feature pixels: fixed places relative to the mean shape, carried to the current shape by the
// least-squares similarity (closed form) and then into the box; 0 beyond the image.
HOT void read_features(const Image& im, const double* box, const float* mean, const float* shape, size_t points,
                       const Delta* d, size_t n, float* out) {
    const Similarity to = similarity(mean, shape, points);
    const float m00 = float(to.a), m01 = float(-to.s), m10 = float(to.s), m11 = float(to.a);
    const double w = box[2] - box[0], h = box[3] - box[1];
    for (size_t i = 0; i < n; ++i) {
        const float x = (m00 * d[i].x + m01 * d[i].y) + shape[2 * d[i].anchor];
        const float y = (m10 * d[i].x + m11 * d[i].y) + shape[2 * d[i].anchor + 1];
        const double column = std::floor(w * double(x) + box[0] + 0.5);
        const double row = std::floor(h * double(y) + box[1] + 0.5);
        const bool inside = column >= 0 && row >= 0 && column < double(im.cols) && row < double(im.rows);
        out[i] = inside ? float(intensity(im, long(row) * im.cols + long(column))) : 0.0f;
    }
}

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) (void)(address)
#endif

// One cascade for all boxes. The features stay the same throughout, so that every tree can be
// walked first (the boxes' walks overlap in time) and the leaves, which lie scattered over
// megabytes, be fetched ahead of their addition. Order of additions per box is dlib's.
HOT void add_forest(const Split* splits, const float* leaves, std::uint32_t trees, std::uint32_t n_leaves,
                    size_t width, const float* features, size_t n_features, float* shapes, size_t boxes) {
    const std::uint32_t n_splits = n_leaves - 1;
    int depth = 0;
    while ((1u << depth) < n_leaves) ++depth;
    std::vector<std::uint32_t> at(boxes * trees, 0);
    for (std::uint32_t t = 0; t < trees; ++t) {
        const Split* tree = splits + size_t(t) * n_splits;
        std::uint32_t* node = at.data() + size_t(t) * boxes;
        for (int level = 0; level < depth; ++level)
            for (size_t k = 0; k < boxes; ++k) {
                const float* f = features + k * n_features;
                const Split s = tree[node[k]];
                node[k] = 2 * node[k] + 2 - std::uint32_t(f[s.first] - f[s.second] > s.threshold);
            }
    }
    constexpr std::uint32_t AHEAD = 2;
    for (std::uint32_t t = 0; t < trees; ++t) {
        if (t + AHEAD < trees)
            for (size_t k = 0; k < boxes; ++k) {
                const std::uint32_t next = at[size_t(t + AHEAD) * boxes + k] - n_splits;
                const float* leaf = leaves + (size_t(t + AHEAD) * n_leaves + next) * width;
                for (size_t j = 0; j < width; j += 16) PREFETCH(leaf + j);
            }
        for (size_t k = 0; k < boxes; ++k) {
            const float* leaf = leaves + (size_t(t) * n_leaves + at[size_t(t) * boxes + k] - n_splits) * width;
            float* shape = shapes + k * width;
            for (size_t j = 0; j < width; ++j) shape[j] += leaf[j];
        }
    }
}

std::vector<double> chip_boxes(const double* jitter, size_t n, const Chip& chip) {
    std::vector<double> boxes;
    for (size_t k = 0; k < n; ++k) {
        const double x = chip.box * (chip.pad + 0.5 + jitter[3 * k]);
        const double y = chip.box * (chip.pad + 0.5 + jitter[3 * k + 1]);
        const double half = chip.box / 2 * jitter[3 * k + 2];
        boxes.insert(boxes.end(), {x - half, y - half, x + half, y + half});
    }
    return boxes;
}

}  // namespace

Layout::Layout(const Header& h) {
    shape = sizeof(Header);
    first_cascade = shape + padded(size_t(h.points) * 2 * sizeof(float));
    features = padded(size_t(h.features) * sizeof(Delta));
    splits = padded(size_t(h.trees) * (h.leaves - 1) * sizeof(Split));
    leaves = padded(size_t(h.trees) * h.leaves * h.points * 2 * sizeof(float));
    cascade = features + splits + leaves;
    total = first_cascade + size_t(h.cascades) * cascade;
}

py::bytes pack_shape_predictor(const std::string& path) {
    std::string out;
    {
        py::gil_scoped_release nogil;
        std::ifstream in(path, std::ios::binary);
        if (!in) throw std::runtime_error("cannot be opened");
        int version = 0;
        dlib::matrix<float, 0, 1> shape;
        std::vector<std::vector<dlib::impl::regression_tree>> forests;
        std::vector<std::vector<unsigned long>> anchors;
        std::vector<std::vector<dlib::vector<float, 2>>> deltas;
        try {
            dlib::deserialize(version, in);
            if (version != 1) throw dlib::serialization_error("unknown version");
            dlib::deserialize(shape, in);
            dlib::deserialize(forests, in);
            dlib::deserialize(anchors, in);
            dlib::deserialize(deltas, in);
        } catch (const std::exception& e) {  // also bad_alloc and length_error from a damaged size
            throw std::invalid_argument("not a dlib shape predictor, or a damaged one");
        }
        const auto fits = [](bool holds) {
            require(holds, "a shape predictor of a form that dlib's trainer does not write");
        };
        fits(shape.size() >= 4 && shape.size() % 2 == 0 && shape.size() < 4096);
        fits(!forests.empty() && forests.size() == anchors.size() && forests.size() == deltas.size());
        fits(!forests[0].empty() && !anchors[0].empty());
        Header h{};
        std::memcpy(h.magic, MAGIC, sizeof MAGIC);
        h.points = std::uint32_t(shape.size() / 2);
        h.cascades = std::uint32_t(forests.size());
        h.trees = std::uint32_t(forests[0].size());
        h.leaves = std::uint32_t(forests[0][0].leaf_values.size());
        h.features = std::uint32_t(anchors[0].size());
        fits(h.leaves >= 2 && (h.leaves & (h.leaves - 1)) == 0 && h.features <= 65535);
        const Layout lay(h);
        out.assign(lay.total, '\0');
        std::memcpy(&out[0], &h, sizeof h);
        std::memcpy(&out[lay.shape], &shape(0), shape.size() * sizeof(float));
        for (size_t c = 0; c < forests.size(); ++c) {
            fits(forests[c].size() == h.trees && anchors[c].size() == h.features && deltas[c].size() == h.features);
            char* base = &out[lay.first_cascade + c * lay.cascade];
            for (size_t i = 0; i < h.features; ++i) {
                fits(anchors[c][i] < h.points);
                const Delta d{std::uint32_t(anchors[c][i]), deltas[c][i].x(), deltas[c][i].y()};
                std::memcpy(base + i * sizeof d, &d, sizeof d);
            }
            char* split = base + lay.features;
            char* leaf = split + lay.splits;
            for (const auto& tree : forests[c]) {
                fits(tree.splits.size() == h.leaves - 1 && tree.leaf_values.size() == h.leaves);
                for (const auto& s : tree.splits) {
                    fits(s.idx1 < h.features && s.idx2 < h.features);
                    const Split p{std::uint16_t(s.idx1), std::uint16_t(s.idx2), s.thresh};
                    std::memcpy(split, &p, sizeof p);
                    split += sizeof p;
                }
                for (const auto& v : tree.leaf_values) {
                    fits(v.size() == shape.size());
                    std::memcpy(leaf, &v(0), v.size() * sizeof(float));
                    leaf += v.size() * sizeof(float);
                }
            }
        }
    }
    return py::bytes(out);
}

ShapePredictor::ShapePredictor(Bytes packed) : packed_(std::move(packed)) {
    const char* damaged = "not a packed shape predictor, or a damaged one";
    require(packed_.ndim() == 1 && size_t(packed_.size()) >= sizeof(Header), damaged);
    base_ = reinterpret_cast<const char*>(packed_.data());
    std::memcpy(&h_, base_, sizeof h_);
    require(std::memcmp(h_.magic, MAGIC, sizeof MAGIC) == 0, damaged);
    require(h_.points >= 2 && h_.points <= 2048 && h_.cascades >= 1 && h_.cascades <= 1000 && h_.trees >= 1 &&
                h_.trees <= 100000 && h_.leaves >= 2 && h_.leaves <= 65536 && h_.features >= 1 &&
                h_.features <= 65535,
            damaged);
    layout_ = Layout(h_);
    require(layout_.total == size_t(packed_.size()), damaged);
    shape_ = reinterpret_cast<const float*>(base_ + layout_.shape);
    require_finite(shape_, 2 * size_t(h_.points), damaged);
    for (std::uint32_t c = 0; c < h_.cascades; ++c) {  // a damaged index must not become a wild read
        const Delta* d = deltas(c);
        for (std::uint32_t i = 0; i < h_.features; ++i) require(d[i].anchor < h_.points, damaged);
        const Split* s = splits(c);
        for (size_t i = 0; i < size_t(h_.trees) * (h_.leaves - 1); ++i)
            require(s[i].first < h_.features && s[i].second < h_.features, damaged);
    }
}

py::array_t<double> ShapePredictor::mean_shape() const {
    py::array_t<double> out({py::ssize_t(h_.points), py::ssize_t(2)});
    std::copy(shape_, shape_ + 2 * h_.points, out.mutable_data());
    return out;
}

py::array_t<double> ShapePredictor::predict(const Bytes& image, const Doubles& boxes) const {
    const Image im(image);
    require_shape(boxes, {ANY, 4}, "boxes must have shape (K, 4)");
    require_finite(boxes, "boxes must be finite");
    const size_t n = size_t(boxes.shape(0));
    py::array_t<double> out({py::ssize_t(n), py::ssize_t(h_.points), py::ssize_t(2)});
    double* o = out.mutable_data();
    {
        py::gil_scoped_release nogil;
        predict_into(im, boxes.data(), n, o);
    }
    return out;
}

py::tuple ShapePredictor::align(const Bytes& image, const Doubles& box, const Doubles& jitter,
                                const Doubles& mirror, double first_box, double chip_box, double pad, int contrast) const {
    const Image im(image);
    require_shape(box, {4}, "box must have shape (4,)");
    require_shape(jitter, {ANY, 3}, "jitter must have shape (K, 3)");
    require_shape(mirror, {long(h_.points)}, "mirror must have shape (P,)");
    require_finite(box, "box must be finite");
    require_finite(jitter, "jitter must be finite");
    const size_t n = size_t(jitter.shape(0)), points = h_.points;
    require(n >= 1, "jitter needs a row");
    for (size_t j = 0; j < points; ++j)
        require(mirror.data()[j] >= 0 && mirror.data()[j] < double(points), "mirror must hold indices of points");
    require(first_box >= 8 && first_box <= 4096 && chip_box >= 8 && chip_box <= 4096 && pad >= 0 && pad <= 4,
            "chips of 8 to 4096 px, padded by 0 to 4 boxes, are possible");
    require(contrast >= 0 && contrast <= 255, "contrast must be 0 to 255 grey levels");
    py::array_t<double> out({py::ssize_t(2 * n), py::ssize_t(points), py::ssize_t(2)});
    double* o = out.mutable_data();
    std::vector<std::uint8_t> plain;
    long side = 0;
    {
        py::gil_scoped_release nogil;
        const double* b = box.data();
        const double unit[6] = {b[2] - b[0], 0, b[0], 0, b[3] - b[1], b[1]};
        Chip first(im, unit, first_box, pad);
        first.stretch(contrast);
        std::vector<double> found(2 * points);
        const double upright[3] = {0, 0, 1};
        predict_into(first.image(), chip_boxes(upright, 1, first).data(), 1, found.data());
        for (size_t j = 0; j < points; ++j) first.to_image(&found[2 * j], &found[2 * j]);

        double similar[6];
        similarity(shape_, found.data(), points).take(similar);
        Chip chip(im, similar, chip_box, pad);
        plain = chip.pixels;
        side = chip.side;
        chip.stretch(contrast);
        const std::vector<double> boxes = chip_boxes(jitter.data(), n, chip);
        predict_into(chip.image(), boxes.data(), n, o);
        chip.mirror();
        std::vector<double> mirrored(2 * points * n);
        predict_into(chip.image(), boxes.data(), n, mirrored.data());
        for (size_t k = 0; k < n; ++k)
            for (size_t j = 0; j < points; ++j) {
                const double* p = &mirrored[2 * (k * points + size_t(mirror.data()[j]))];
                double* q = o + 2 * ((n + k) * points + j);
                q[0] = double(side - 1) - p[0], q[1] = p[1];
            }
        for (size_t j = 0; j < 2 * n * points; ++j) chip.to_image(o + 2 * j, o + 2 * j);
    }
    Bytes aligned({side, side});
    std::memcpy(aligned.mutable_data(), plain.data(), plain.size());
    return py::make_tuple(out, aligned);
}

void ShapePredictor::predict_into(const Image& im, const double* b, size_t n, double* o) const {
    const size_t width = 2 * size_t(h_.points);
    std::vector<float> shapes(n * width), features(n * h_.features);
    for (size_t k = 0; k < n; ++k) std::copy(shape_, shape_ + width, shapes.data() + k * width);
    for (std::uint32_t c = 0; c < h_.cascades; ++c) {
        for (size_t k = 0; k < n; ++k)
            read_features(im, b + 4 * k, shape_, shapes.data() + k * width, h_.points, deltas(c), h_.features,
                          features.data() + k * h_.features);
        add_forest(splits(c), leaves(c), h_.trees, h_.leaves, width, features.data(), h_.features, shapes.data(),
                   n);
    }
    for (size_t k = 0; k < n; ++k) {
        const double* box = b + 4 * k;
        for (size_t j = 0; j < h_.points; ++j) {
            *o++ = box[0] + (box[2] - box[0]) * double(shapes[k * width + 2 * j]);
            *o++ = box[1] + (box[3] - box[1]) * double(shapes[k * width + 2 * j + 1]);
        }
    }
}

}  // namespace anthropo
