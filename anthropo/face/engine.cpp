// The compiled landmarking path: dlib's frontal face detector and shape predictor, evaluated so
// that landmarks stay sub-pixel and many jittered boxes share one pass over the forests.
//
// Coordinates: x to the right, y down, the centre of the top-left pixel is (0, 0), as in dlib.
// Images: uint8 arrays, (H, W) or (H, W, 3), C-contiguous. Every heavy call releases the GIL.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <dlib/image_processing/frontal_face_detector.h>
#include <dlib/image_processing/shape_predictor.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

// One build serves every x86-64 machine of a cluster: the hot loops are compiled three times and the
// choice is made at load time. No fused multiply-add (setup.py): results are the same bit for bit.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#define HOT __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define HOT
#endif

namespace py = pybind11;

namespace {

using Bytes = py::array_t<std::uint8_t, py::array::c_style>;
using Doubles = py::array_t<double, py::array::c_style | py::array::forcecast>;

// ------------------------------------------------------------------------------------ images

struct Image {
    const std::uint8_t* data;
    long rows, cols, channels;

    Image(const std::uint8_t* grey, long rows, long cols) : data(grey), rows(rows), cols(cols), channels(1) {}

    explicit Image(const Bytes& a) {
        if (a.ndim() != 2 && !(a.ndim() == 3 && a.shape(2) == 3))
            throw std::invalid_argument("an image must be a uint8 array of shape (H, W) or (H, W, 3)");
        data = a.data();
        rows = a.shape(0);
        cols = a.shape(1);
        channels = a.ndim() == 3 ? 3 : 1;
        if (rows < 1 || cols < 1) throw std::invalid_argument("the image has no pixels");
    }
};

// dlib reads a colour pixel's intensity as (r + g + b) / 3; keeping to it keeps our landmarks
// equal to dlib's on the same photo.
inline unsigned intensity(const Image& im, long i) {
    if (im.channels == 1) return im.data[i];
    const std::uint8_t* p = im.data + 3 * i;
    return (unsigned(p[0]) + p[1] + p[2]) / 3;
}

HOT void sum_rows(const Image& im, long r, long c0, long n, std::uint32_t* acc) {
    if (im.channels == 1) {
        const std::uint8_t* p = im.data + r * im.cols + c0;
        for (long c = 0; c < n; ++c) acc[c] += p[c];
    } else {
        const std::uint8_t* p = im.data + 3 * (r * im.cols + c0);
        for (long c = 0; c < n; ++c)
            acc[c] += (std::uint32_t(p[3 * c]) + p[3 * c + 1] + p[3 * c + 2]) / 3;
    }
}

// Mean over factor x factor blocks of the window, as grey. Blocks that do not fit are dropped.
void shrink_window(const Image& im, long r0, long c0, long rows, long cols, long factor,
                   std::vector<std::uint8_t>& out) {
    out.resize(size_t(rows) * cols);
    std::vector<std::uint32_t> acc(size_t(cols) * factor);
    const std::uint32_t area = std::uint32_t(factor * factor);
    for (long r = 0; r < rows; ++r) {
        std::fill(acc.begin(), acc.end(), 0u);
        for (long k = 0; k < factor; ++k) sum_rows(im, r0 + r * factor + k, c0, cols * factor, acc.data());
        std::uint8_t* o = out.data() + r * cols;
        for (long c = 0; c < cols; ++c) {
            std::uint32_t s = 0;
            for (long k = 0; k < factor; ++k) s += acc[c * factor + k];
            o[c] = std::uint8_t((s + area / 2) / area);
        }
    }
}

Bytes shrink(const Bytes& image, long factor) {
    if (factor < 1) throw std::invalid_argument("factor must be at least 1");
    const Image im(image);
    const long rows = im.rows / factor, cols = im.cols / factor;
    if (rows < 1 || cols < 1) throw std::invalid_argument("the image is smaller than one block");
    std::vector<std::uint8_t> out;
    {
        py::gil_scoped_release nogil;
        shrink_window(im, 0, 0, rows, cols, factor, out);
    }
    Bytes result({rows, cols});
    std::memcpy(result.mutable_data(), out.data(), out.size());
    return result;
}

// Bilinear samples of an image at map (x, y, 1); black outside.
HOT void interpolate(const std::uint8_t* image, long rows, long cols, const double* map, std::uint8_t* out,
                     long height, long width) {
    // positions in 1/65536 px: integer steps make the inner loop cheap, and exact on every machine
    const auto fixed = [](double v) { return std::int64_t(std::llround(v * 65536.0)); };
    const std::int64_t du = fixed(map[0]), dv = fixed(map[3]);
    const std::int64_t end_u = (std::int64_t(cols) << 16) - 32768, end_v = (std::int64_t(rows) << 16) - 32768;
    const std::int64_t max_u = std::int64_t(cols - 1) << 16, max_v = std::int64_t(rows - 1) << 16;
    for (long y = 0; y < height; ++y) {
        std::int64_t u = fixed(map[1] * y + map[2]), v = fixed(map[4] * y + map[5]);
        for (long x = 0; x < width; ++x, u += du, v += dv) {
            if (u < -32768 || v < -32768 || u >= end_u || v >= end_v) {
                *out++ = 0;
                continue;
            }
            const std::int64_t cu = std::min(std::max<std::int64_t>(u, 0), max_u);
            const std::int64_t cv = std::min(std::max<std::int64_t>(v, 0), max_v);
            const int a = int(cu & 65535) >> 5, b = int(cv & 65535) >> 5;  // 0 to 2047
            const std::uint8_t* p = image + (cv >> 16) * cols + (cu >> 16);
            const std::uint8_t* q = cv < max_v ? p + cols : p;
            const int right = cu < max_u ? 1 : 0;
            const int top = p[0] * (2048 - a) + p[right] * a, bottom = q[0] * (2048 - a) + q[right] * a;
            *out++ = std::uint8_t((std::int64_t(top) * (2048 - b) + std::int64_t(bottom) * b + (1 << 21)) >> 22);
        }
    }
}

// chip(x, y) = image(M (x, y, 1)), bilinear, black outside. When the chip is coarser than the
// image, whole blocks are averaged first so that fine texture does not alias.
void warp_into(const Image& im, const double* m, long height, long width, std::uint8_t* out) {
    const double scale = std::sqrt(std::abs(m[0] * m[4] - m[1] * m[3]));
    const long f = std::max(1L, long(std::floor(scale + 1e-9)));

    // the window of the image that the chip covers, in image pixels
    double lo_x = 1e300, lo_y = 1e300, hi_x = -1e300, hi_y = -1e300;
    for (int corner = 0; corner < 4; ++corner) {
        const double x = (corner & 1) ? width - 1 : 0, y = (corner & 2) ? height - 1 : 0;
        const double u = m[0] * x + m[1] * y + m[2], v = m[3] * x + m[4] * y + m[5];
        lo_x = std::min(lo_x, u), hi_x = std::max(hi_x, u);
        lo_y = std::min(lo_y, v), hi_y = std::max(hi_y, v);
    }
    const auto clamp = [](double v, long hi) { return long(std::min(std::max(v, 0.0), double(hi))); };
    const long c0 = clamp(std::floor(lo_x) - 2 * f, im.cols), c1 = clamp(std::ceil(hi_x) + 2 * f + 1, im.cols);
    const long r0 = clamp(std::floor(lo_y) - 2 * f, im.rows), r1 = clamp(std::ceil(hi_y) + 2 * f + 1, im.rows);
    const long cols = (c1 - c0) / f, rows = (r1 - r0) / f;
    if (cols < 1 || rows < 1) {
        std::memset(out, 0, size_t(height) * width);
        return;
    }
    std::vector<std::uint8_t> small;
    shrink_window(im, r0, c0, rows, cols, f, small);
    // image pixel p is small pixel (p - origin + 0.5) / f - 0.5
    const double k = 1.0 / f, ox = (0.5 - c0) * k - 0.5, oy = (0.5 - r0) * k - 0.5;
    const double map[6] = {m[0] * k, m[1] * k, m[2] * k + ox, m[3] * k, m[4] * k, m[5] * k + oy};
    interpolate(small.data(), rows, cols, map, out, height, width);
}

Bytes warp(const Bytes& image, const Doubles& matrix, long height, long width) {
    if (matrix.ndim() != 2 || matrix.shape(0) != 2 || matrix.shape(1) != 3)
        throw std::invalid_argument("matrix must have shape (2, 3)");
    if (height < 1 || width < 1) throw std::invalid_argument("the chip must have pixels");
    const Image im(image);
    double m[6];
    std::copy(matrix.data(), matrix.data() + 6, m);
    for (double v : m)
        if (!std::isfinite(v)) throw std::invalid_argument("matrix must be finite");
    Bytes result({height, width});
    std::uint8_t* out = result.mutable_data();
    {
        py::gil_scoped_release nogil;
        warp_into(im, m, height, width, out);
    }
    return result;
}

// A square grey picture of an aligned face: an inner box of `box` pixels and `pad` boxes around it.
struct Chip {
    long side;
    double box, pad;
    double map[6];  // chip pixel to image pixel
    std::vector<std::uint8_t> pixels;

    // `unit` takes the box (0, 0) to (1, 1) to image pixels
    Chip(const Image& im, const double* unit, double box, double pad)
        : side(long(box * (1 + 2 * pad))), box(box), pad(pad), pixels(size_t(side) * side) {
        for (int r = 0; r < 2; ++r) {
            const double a = unit[3 * r], b = unit[3 * r + 1];
            map[3 * r] = a / box, map[3 * r + 1] = b / box, map[3 * r + 2] = unit[3 * r + 2] - (a + b) * pad;
        }
        warp_into(im, map, side, side, pixels.data());
    }

    Image image() const { return Image(pixels.data(), side, side); }

    void to_image(const double* p, double* out) const {
        const double x = p[0], y = p[1];  // p and out may be the same
        out[0] = map[0] * x + map[1] * y + map[2];
        out[1] = map[3] * x + map[4] * y + map[5];
    }

    // Spreads the inner box over at least `range` grey levels. The predictor compares grey values
    // with fixed thresholds, so that a dark photo defeats it: at a quarter of the exposure its
    // error grows by 60 %; stretched first, it is unchanged.
    void stretch(int range) {
        const long margin = std::lround(box * pad);
        std::uint32_t count[256] = {};
        for (long y = margin; y < side - margin; ++y)
            for (long x = margin; x < side - margin; ++x) ++count[pixels[size_t(y) * side + x]];
        const double total = double(side - 2 * margin) * double(side - 2 * margin);
        int low = 0, high = 255;
        double sum = 0;
        while (low < 255 && (sum += count[low]) < 0.01 * total) ++low;
        sum = 0;
        while (high > 0 && (sum += count[high]) < 0.01 * total) --high;
        const double gain = double(range) / std::max(1, high - low);
        if (gain <= 1) return;
        std::uint8_t table[256];
        for (int i = 0; i < 256; ++i)
            table[i] = std::uint8_t(std::min(std::max((i - (low + high) / 2.0) * gain + 127.5, 0.0), 255.0));
        for (auto& v : pixels) v = table[v];
    }

    void mirror() {
        for (long y = 0; y < side; ++y) {
            const auto row = pixels.begin() + y * side;
            std::reverse(row, row + side);
        }
    }
};

// ---------------------------------------------------------------------------------- detector

using Scanner = dlib::scan_fhog_pyramid<dlib::pyramid_down<6>>;
using Filters = Scanner::fhog_filterbank;

// out[i] (+)= sum_k taps[k] * in[i + k * step]
HOT void correlate(const float* in, long n, const float* taps, long n_taps, long step, float* out, bool add) {
    constexpr long BLOCK = 64;
    for (long start = 0; start < n; start += BLOCK) {
        const long m = std::min(BLOCK, n - start);
        float sum[BLOCK] = {};
        if (m == BLOCK) {
            for (long k = 0; k < n_taps; ++k) {
                const float* p = in + start + k * step;
                const float w = taps[k];
                for (long i = 0; i < BLOCK; ++i) sum[i] += w * p[i];
            }
        } else {
            for (long k = 0; k < n_taps; ++k)
                for (long i = 0; i < m; ++i) sum[i] += taps[k] * in[start + k * step + i];
        }
        float* o = out + start;
        if (add)
            for (long i = 0; i < m; ++i) o[i] += sum[i];
        else
            for (long i = 0; i < m; ++i) o[i] = sum[i];
    }
}

// dlib's frontal face detector. Unpacking and factorising its filters takes a quarter of a
// second, so the result is stored once and read back in milliseconds.
class FaceDetector {
public:
    static py::bytes pack() {
        std::ostringstream out;
        {
            py::gil_scoped_release nogil;
            dlib::frontal_face_detector d = dlib::get_frontal_face_detector();
            dlib::serialize(d.get_scanner(), out);
            dlib::serialize(d.get_overlap_tester(), out);
            const unsigned long n = d.num_detectors();
            dlib::serialize(n, out);
            for (unsigned long i = 0; i < n; ++i) {
                const auto& w = d.get_processed_w(i);
                const Filters& f = w.get_detect_argument();
                const double threshold = w.w(w.w.size() - 1);
                dlib::serialize(threshold, out);
                dlib::serialize(f.filters, out);
                dlib::serialize(f.row_filters, out);
                dlib::serialize(f.col_filters, out);
            }
        }
        return py::bytes(out.str());
    }

    explicit FaceDetector(const std::string& packed) {
        std::istringstream in(packed);
        try {
            dlib::deserialize(scanner_, in);
            dlib::deserialize(overlap_, in);
            unsigned long n = 0;
            dlib::deserialize(n, in);
            if (n < 1 || n > 64) throw dlib::serialization_error("bad count");
            thresholds_.resize(n);
            filters_.resize(n);
            for (unsigned long i = 0; i < n; ++i) {
                dlib::deserialize(thresholds_[i], in);
                dlib::deserialize(filters_[i].filters, in);
                dlib::deserialize(filters_[i].row_filters, in);
                dlib::deserialize(filters_[i].col_filters, in);
            }
        } catch (const dlib::serialization_error& e) {
            throw std::invalid_argument(std::string("not a packed face detector: ") + e.what());
        }
    }

    // rows: left, top, right, bottom (inclusive), score, index of the view's filter
    py::array_t<double> detect(const Bytes& image, double threshold, unsigned long max_levels) const {
        const Image im(image);
        std::vector<dlib::rect_detection> found;
        {
            py::gil_scoped_release nogil;
            dlib::array<dlib::array<dlib::array2d<float>>> feats;
            if (im.channels == 1) {
                dlib::array2d<unsigned char> img(im.rows, im.cols);
                std::memcpy(&img[0][0], im.data, size_t(im.rows) * im.cols);
                pyramid(img, feats, max_levels);
            } else {
                dlib::array2d<dlib::rgb_pixel> img(im.rows, im.cols);
                static_assert(sizeof(dlib::rgb_pixel) == 3, "rgb_pixel must be packed");
                std::memcpy(&img[0][0], im.data, size_t(im.rows) * im.cols * 3);
                pyramid(img, feats, max_levels);
            }
            std::vector<dlib::rect_detection> all;
            for (unsigned long level = 0; level < feats.size(); ++level)
                for (unsigned long view = 0; view < filters_.size(); ++view)
                    scan(feats[level], level, view, threshold, all);
            // non-maximum suppression over all views, best first, as dlib does it
            std::sort(all.rbegin(), all.rend());
            for (const auto& d : all) {
                bool hidden = false;
                for (const auto& k : found) hidden = hidden || overlap_(k.rect, d.rect);
                if (!hidden) found.push_back(d);
            }
        }
        py::array_t<double> rows({py::ssize_t(found.size()), py::ssize_t(6)});
        double* o = rows.mutable_data();
        for (const auto& d : found) {
            *o++ = d.rect.left(), *o++ = d.rect.top(), *o++ = d.rect.right(), *o++ = d.rect.bottom();
            *o++ = d.detection_confidence, *o++ = double(d.weight_index);
        }
        return rows;
    }

private:
    template <typename Img, typename Feats>
    void pyramid(const Img& img, Feats& feats, unsigned long max_levels) const {
        dlib::impl::create_fhog_pyramid<dlib::pyramid_down<6>>(
            img, scanner_.get_feature_extractor(), feats, int(scanner_.get_cell_size()),
            int(scanner_.get_fhog_window_height()), int(scanner_.get_fhog_window_width()),
            scanner_.get_min_pyramid_layer_width(), scanner_.get_min_pyramid_layer_height(),
            std::min(max_levels, scanner_.get_max_pyramid_levels()));
    }

    // Adds every window of one pyramid level that one view's filters score above the threshold.
    void scan(const dlib::array<dlib::array2d<float>>& feats, unsigned long level, unsigned long view,
              double threshold, std::vector<dlib::rect_detection>& out) const {
        const Filters& bank = filters_[view];
        const long rows = feats[0].nr(), cols = feats[0].nc();
        const long height = long(scanner_.get_fhog_window_height()), width = long(scanner_.get_fhog_window_width());
        if (rows < height || cols < width) return;
        const long n = rows * cols, across = n - (width - 1), down = across - (height - 1) * cols;
        std::vector<float> scratch(n), score(n, 0.0f);
        for (unsigned long p = 0; p < bank.row_filters.size(); ++p)
            for (unsigned long t = 0; t < bank.row_filters[p].size(); ++t) {
                // rows laid end to end: sums that run over a row's end land where no window fits
                correlate(&feats[p][0][0], across, &bank.row_filters[p][t](0), width, 1, scratch.data(), false);
                correlate(scratch.data(), down, &bank.col_filters[p][t](0), height, cols, score.data(), true);
            }
        const long padding = long(scanner_.get_padding());
        dlib::pyramid_down<6> pyramid;
        for (long r = 0; r + height <= rows; ++r)
            for (long c = 0; c + width <= cols; ++c) {
                const double excess = double(score[r * cols + c]) - thresholds_[view];
                if (!(excess >= threshold)) continue;
                const dlib::point centre(c + width / 2, r + height / 2);
                const dlib::rectangle cells = dlib::centered_rect(centre, height - 2 * padding, width - 2 * padding);
                const dlib::rectangle rect = scanner_.get_feature_extractor().feats_to_image(
                    cells, int(scanner_.get_cell_size()), int(height), int(width));
                dlib::rect_detection d;
                d.detection_confidence = excess;
                d.weight_index = view;
                d.rect = pyramid.rect_up(rect, level);
                out.push_back(d);
            }
    }

private:
    Scanner scanner_;
    dlib::test_box_overlap overlap_;
    std::vector<double> thresholds_;
    std::vector<Filters> filters_;
};

// --------------------------------------------------------------------------- shape predictor

constexpr char MAGIC[8] = {'a', 'n', 't', 'h', 's', 'p', '0', '1'};

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

size_t padded(size_t n) { return (n + 63) / 64 * 64; }

// Layout: header, mean shape, then per cascade: features, splits of every tree, leaves of every
// tree. Each block starts at a multiple of 64 bytes.
struct Layout {
    size_t shape, first_cascade, features, splits, leaves, cascade, total;
    explicit Layout(const Header& h) {
        shape = sizeof(Header);
        first_cascade = shape + padded(size_t(h.points) * 2 * sizeof(float));
        features = padded(size_t(h.features) * sizeof(Delta));
        splits = padded(size_t(h.trees) * (h.leaves - 1) * sizeof(Split));
        leaves = padded(size_t(h.trees) * h.leaves * h.points * 2 * sizeof(float));
        cascade = features + splits + leaves;
        total = first_cascade + size_t(h.cascades) * cascade;
    }
};

// Rewrites dlib's serialised shape predictor as one flat block that can be memory-mapped.
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
        const auto require = [](bool ok) {
            if (!ok) throw std::invalid_argument("a shape predictor of a form that dlib's trainer does not write");
        };
        require(shape.size() >= 4 && shape.size() % 2 == 0 && shape.size() < 4096);
        require(!forests.empty() && forests.size() == anchors.size() && forests.size() == deltas.size());
        require(!forests[0].empty() && !anchors[0].empty());
        Header h{};
        std::memcpy(h.magic, MAGIC, sizeof MAGIC);
        h.points = std::uint32_t(shape.size() / 2);
        h.cascades = std::uint32_t(forests.size());
        h.trees = std::uint32_t(forests[0].size());
        h.leaves = std::uint32_t(forests[0][0].leaf_values.size());
        h.features = std::uint32_t(anchors[0].size());
        require(h.leaves >= 2 && (h.leaves & (h.leaves - 1)) == 0 && h.features <= 65535);
        const Layout lay(h);
        out.assign(lay.total, '\0');
        std::memcpy(&out[0], &h, sizeof h);
        std::memcpy(&out[lay.shape], &shape(0), shape.size() * sizeof(float));
        for (size_t c = 0; c < forests.size(); ++c) {
            require(forests[c].size() == h.trees && anchors[c].size() == h.features && deltas[c].size() == h.features);
            char* base = &out[lay.first_cascade + c * lay.cascade];
            for (size_t i = 0; i < h.features; ++i) {
                require(anchors[c][i] < h.points);
                const Delta d{std::uint32_t(anchors[c][i]), deltas[c][i].x(), deltas[c][i].y()};
                std::memcpy(base + i * sizeof d, &d, sizeof d);
            }
            char* split = base + lay.features;
            char* leaf = split + lay.splits;
            for (const auto& tree : forests[c]) {
                require(tree.splits.size() == h.leaves - 1 && tree.leaf_values.size() == h.leaves);
                for (const auto& s : tree.splits) {
                    require(s.idx1 < h.features && s.idx2 < h.features);
                    const Split p{std::uint16_t(s.idx1), std::uint16_t(s.idx2), s.thresh};
                    std::memcpy(split, &p, sizeof p);
                    split += sizeof p;
                }
                for (const auto& v : tree.leaf_values) {
                    require(v.size() == shape.size());
                    std::memcpy(leaf, &v(0), v.size() * sizeof(float));
                    leaf += v.size() * sizeof(float);
                }
            }
        }
    }
    return py::bytes(out);
}

// dlib's feature pixels: fixed places relative to the mean shape, carried to the current shape by the
// least-squares similarity (closed form) and then into the box; 0 beyond the image.
HOT void read_features(const Image& im, const double* box, const float* mean, const float* shape, size_t points,
                       const Delta* d, size_t n, float* out) {
    double fx = 0, fy = 0, tx = 0, ty = 0;
    for (size_t j = 0; j < points; ++j)
        fx += mean[2 * j], fy += mean[2 * j + 1], tx += shape[2 * j], ty += shape[2 * j + 1];
    fx /= double(points), fy /= double(points), tx /= double(points), ty /= double(points);
    double a = 0, s = 0, norm = 0;
    for (size_t j = 0; j < points; ++j) {
        const double u = mean[2 * j] - fx, v = mean[2 * j + 1] - fy;
        const double p = shape[2 * j] - tx, q = shape[2 * j + 1] - ty;
        a += u * p + v * q, s += u * q - v * p, norm += u * u + v * v;
    }
    const float m00 = float(a / norm), m01 = float(-s / norm), m10 = float(s / norm), m11 = float(a / norm);
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

class ShapePredictor {
public:
    explicit ShapePredictor(Bytes packed) : packed_(std::move(packed)) {
        const auto refuse = [] { throw std::invalid_argument("not a packed shape predictor, or a damaged one"); };
        if (packed_.ndim() != 1 || size_t(packed_.size()) < sizeof(Header)) refuse();
        base_ = reinterpret_cast<const char*>(packed_.data());
        std::memcpy(&h_, base_, sizeof h_);
        if (std::memcmp(h_.magic, MAGIC, sizeof MAGIC) != 0) refuse();
        if (h_.points < 2 || h_.points > 2048 || h_.cascades < 1 || h_.cascades > 1000 || h_.trees < 1 ||
            h_.trees > 100000 || h_.leaves < 2 || h_.leaves > 65536 || h_.features < 1 || h_.features > 65535)
            refuse();
        lay_ = std::make_unique<Layout>(h_);
        if (lay_->total != size_t(packed_.size())) refuse();
        shape_ = reinterpret_cast<const float*>(base_ + lay_->shape);
        for (std::uint32_t c = 0; c < h_.cascades; ++c) {  // a damaged index must not become a wild read
            const Delta* d = deltas(c);
            for (std::uint32_t i = 0; i < h_.features; ++i)
                if (d[i].anchor >= h_.points) refuse();
            const Split* s = splits(c);
            for (size_t i = 0; i < size_t(h_.trees) * (h_.leaves - 1); ++i)
                if (s[i].first >= h_.features || s[i].second >= h_.features) refuse();
        }
    }

    std::uint32_t points() const { return h_.points; }

    // the mean shape, (P, 2), in a box whose corners are (0, 0) and (1, 1)
    py::array_t<double> mean_shape() const {
        py::array_t<double> out({py::ssize_t(h_.points), py::ssize_t(2)});
        std::copy(shape_, shape_ + 2 * h_.points, out.mutable_data());
        return out;
    }

    // image (H, W[, 3]) and boxes (K, 4) of left, top, right, bottom -> landmarks (K, P, 2)
    py::array_t<double> predict(const Bytes& image, const Doubles& boxes) const {
        const Image im(image);
        if (boxes.ndim() != 2 || boxes.shape(1) != 4) throw std::invalid_argument("boxes must have shape (K, 4)");
        const size_t n = size_t(boxes.shape(0));
        check_finite(boxes);
        py::array_t<double> out({py::ssize_t(n), py::ssize_t(h_.points), py::ssize_t(2)});
        double* o = out.mutable_data();
        {
            py::gil_scoped_release nogil;
            predict_into(im, boxes.data(), n, o);
        }
        return out;
    }

    // The whole way from a detected box to landmarks, in one go without the interpreter's lock:
    // one evaluation in the box tells how the head is rolled and how large it is; the jittered ones
    // work on the face brought upright, each on the face and on its mirror image.
    //   jitter (K, 3): shift x and y in boxes, factor of the size; mirror (P,): whose image each point is
    // -> landmarks (2 K, P, 2) in image pixels, the aligned face (grey, not stretched)
    py::tuple align(const Bytes& image, const Doubles& box, const Doubles& jitter, const Doubles& mirror,
                    double first_box, double chip_box, double pad, int contrast) const {
        const Image im(image);
        const size_t n = size_t(jitter.ndim() == 2 ? jitter.shape(0) : 0), points = h_.points;
        if (box.size() != 4 || n < 1 || jitter.shape(1) != 3 || size_t(mirror.size()) != points)
            throw std::invalid_argument("box must have shape (4,), jitter (K, 3), mirror (P,)");
        if (!(first_box >= 8 && first_box <= 4096 && chip_box >= 8 && chip_box <= 4096 && pad >= 0 && pad <= 4))
            throw std::invalid_argument("chips of 8 to 4096 px, padded by 0 to 4 boxes, are possible");
        check_finite(box);
        check_finite(jitter);
        for (size_t j = 0; j < points; ++j)
            if (!(mirror.data()[j] >= 0 && mirror.data()[j] < double(points)))
                throw std::invalid_argument("mirror must hold indices of points");
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
            similarity(found.data(), similar);
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

private:
    static void check_finite(const Doubles& values) {
        for (py::ssize_t i = 0; i < values.size(); ++i)
            if (!(std::abs(values.data()[i]) < 1e7)) throw std::invalid_argument("boxes must be finite");
    }

    static std::vector<double> chip_boxes(const double* jitter, size_t n, const Chip& chip) {
        std::vector<double> boxes;
        for (size_t k = 0; k < n; ++k) {
            const double x = chip.box * (chip.pad + 0.5 + jitter[3 * k]);
            const double y = chip.box * (chip.pad + 0.5 + jitter[3 * k + 1]);
            const double half = chip.box / 2 * jitter[3 * k + 2];
            boxes.insert(boxes.end(), {x - half, y - half, x + half, y + half});
        }
        return boxes;
    }

    // least-squares similarity that takes the mean shape (in the unit box) to points
    void similarity(const double* points, double* unit) const {
        const size_t n = h_.points;
        double fx = 0, fy = 0, tx = 0, ty = 0, a = 0, s = 0, norm = 0;
        for (size_t j = 0; j < n; ++j)
            fx += shape_[2 * j], fy += shape_[2 * j + 1], tx += points[2 * j], ty += points[2 * j + 1];
        fx /= double(n), fy /= double(n), tx /= double(n), ty /= double(n);
        for (size_t j = 0; j < n; ++j) {
            const double u = shape_[2 * j] - fx, v = shape_[2 * j + 1] - fy;
            const double p = points[2 * j] - tx, q = points[2 * j + 1] - ty;
            a += u * p + v * q, s += u * q - v * p, norm += u * u + v * v;
        }
        a /= norm, s /= norm;
        const double result[6] = {a, -s, tx - a * fx + s * fy, s, a, ty - s * fx - a * fy};
        std::copy(result, result + 6, unit);
    }

    void predict_into(const Image& im, const double* b, size_t n, double* o) const {
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

    const char* cascade(std::uint32_t c) const { return base_ + lay_->first_cascade + size_t(c) * lay_->cascade; }
    const Delta* deltas(std::uint32_t c) const { return reinterpret_cast<const Delta*>(cascade(c)); }
    const Split* splits(std::uint32_t c) const { return reinterpret_cast<const Split*>(cascade(c) + lay_->features); }
    const float* leaves(std::uint32_t c) const {
        return reinterpret_cast<const float*>(cascade(c) + lay_->features + lay_->splits);
    }

    Bytes packed_;
    const char* base_ = nullptr;
    const float* shape_ = nullptr;
    Header h_{};
    std::unique_ptr<Layout> lay_;
};

// --------------------------------------------------------------------------- patch network

using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

// Several floats at once: a register or two where the compiler has such a type.
constexpr size_t LANES = 16, ROWS = 4;
#if defined(__GNUC__)
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));
#else
struct Lanes {
    float value[LANES];
    float& operator[](size_t l) { return value[l]; }
};
inline Lanes operator*(float a, const Lanes& b) {
    Lanes c;
    for (size_t l = 0; l < LANES; ++l) c.value[l] = a * b.value[l];
    return c;
}
inline Lanes& operator+=(Lanes& a, const Lanes& b) {
    for (size_t l = 0; l < LANES; ++l) a.value[l] += b.value[l];
    return a;
}
#endif

// out (m, n) = max(a (m, k) b (k, n) + bias, floor); n is a multiple of LANES
HOT void multiply(const float* a, size_t m, size_t k, const float* b, size_t n, const float* bias, float floor,
                  float* out) {
    for (size_t i = 0; i < m; i += ROWS) {
        const size_t rows = std::min(ROWS, m - i);  // beyond them the last is computed again, not stored
        const float* row[ROWS];
        for (size_t r = 0; r < ROWS; ++r) row[r] = a + (i + std::min(r, rows - 1)) * k;
        for (size_t j = 0; j < n; j += LANES) {
            Lanes start, q;
            std::memcpy(&start, bias + j, sizeof start);
            Lanes s0 = start, s1 = start, s2 = start, s3 = start;
            for (size_t p = 0; p < k; ++p) {
                std::memcpy(&q, b + p * n + j, sizeof q);
                s0 += row[0][p] * q;
                s1 += row[1][p] * q;
                s2 += row[2][p] * q;
                s3 += row[3][p] * q;
            }
            Lanes sums[ROWS] = {s0, s1, s2, s3};
            for (size_t r = 0; r < rows; ++r)
                for (size_t l = 0; l < LANES; ++l) out[(i + r) * n + j + l] = std::max(sums[r][l], floor);
        }
    }
}

// A small convolutional network that sees a square grey patch: convolutions of stride 2 with zero
// padding, one hidden layer, points. Batch normalisation is worked into the weights.
class PatchNetwork {
    struct Layer {
        size_t side;        // of the kernel; 0: fully connected
        size_t in, out;     // channels, both padded to whole lanes (the grey patch has one)
        std::vector<float> weights, bias;
    };

public:
    // weights: (side, side, in, out) arrays, then (in, hidden), then (hidden, 2 points); biases likewise
    PatchNetwork(const std::vector<Floats>& weights, const std::vector<Floats>& biases, size_t patch)
        : patch_(patch) {
        const auto require = [](bool ok) {
            if (!ok) throw std::invalid_argument("not the weights of a patch network");
        };
        require(weights.size() >= 3 && weights.size() == biases.size() && patch >= 8 && patch <= 512);
        size_t side = patch, channels = 1, lanes = 1;  // of the layer's input
        for (size_t i = 0; i < weights.size(); ++i) {
            const Floats& w = weights[i];
            const bool convolution = i + 2 < weights.size();
            require(w.ndim() == (convolution ? 4 : 2) && biases[i].ndim() == 1);
            Layer layer;
            layer.side = convolution ? size_t(w.shape(0)) : 0;
            require(!convolution || (w.shape(0) == w.shape(1) && w.shape(0) % 2 == 1 && side % 2 == 0));
            const size_t in = size_t(w.shape(w.ndim() - 2)), out = size_t(w.shape(w.ndim() - 1));
            require(out >= 1 && out <= 4096 && size_t(biases[i].size()) == out);
            const bool flattens = i + 2 == weights.size();
            require(in == (flattens ? side * side * channels : channels));
            layer.in = flattens ? side * side * lanes : lanes;
            layer.out = (out + LANES - 1) / LANES * LANES;
            // the rows of the inputs' padding stay zero
            const size_t pixels = size_t(w.size()) / (channels * out);
            layer.weights.assign(pixels * lanes * layer.out, 0.0f);
            for (size_t p = 0; p < pixels; ++p)
                for (size_t c = 0; c < channels; ++c)
                    std::copy_n(w.data() + (p * channels + c) * out, out, &layer.weights[(p * lanes + c) * layer.out]);
            layer.bias.assign(layer.out, 0.0f);
            std::copy_n(biases[i].data(), out, layer.bias.begin());
            if (convolution) side /= 2;
            channels = out, lanes = layer.out;
            layers_.push_back(std::move(layer));
        }
        require(channels % 2 == 0);
        points_ = channels / 2;
    }

    size_t points() const { return points_; }

    // image (H, W) and maps (N, 2, 3) that take patch pixels to image pixels -> (N, P, 2) in patch pixels
    py::array_t<double> predict(const Bytes& image, const Doubles& maps) const {
        const Image im(image);
        if (im.channels != 1) throw std::invalid_argument("a grey image is needed");
        if (maps.ndim() != 3 || maps.shape(1) != 2 || maps.shape(2) != 3)
            throw std::invalid_argument("maps must have shape (N, 2, 3)");
        for (py::ssize_t i = 0; i < maps.size(); ++i)
            if (!(std::abs(maps.data()[i]) < 1e7)) throw std::invalid_argument("maps must be finite");
        const size_t n = size_t(maps.shape(0)), width = 2 * points_;
        py::array_t<double> out({py::ssize_t(n), py::ssize_t(width / 2), py::ssize_t(2)});
        double* o = out.mutable_data();
        {
            py::gil_scoped_release nogil;
            std::vector<std::uint8_t> patch(patch_ * patch_);
            std::vector<float> now, next, columns;
            for (size_t i = 0; i < n; ++i) {
                interpolate(im.data, im.rows, im.cols, maps.data() + 6 * i, patch.data(), long(patch_), long(patch_));
                standardise(patch, now);
                size_t side = patch_;
                for (const Layer& layer : layers_) {
                    if (layer.side) {
                        gather(now, side, layer, columns);
                        side /= 2;
                        next.resize(side * side * layer.out);
                        multiply(columns.data(), side * side, layer.side * layer.side * layer.in,
                                 layer.weights.data(), layer.out, layer.bias.data(), 0.0f, next.data());
                    } else {
                        const bool last = &layer == &layers_.back();
                        next.resize(layer.out);
                        multiply(now.data(), 1, layer.in, layer.weights.data(), layer.out, layer.bias.data(),
                                 last ? -1e30f : 0.0f, next.data());
                    }
                    now.swap(next);
                }
                for (size_t j = 0; j < width; ++j) *o++ = double(now[j]);
            }
        }
        return out;
    }

private:
    // exposure and contrast taken out, but noise in a flat patch not blown up
    static void standardise(const std::vector<std::uint8_t>& patch, std::vector<float>& out) {
        double sum = 0, squares = 0;
        for (std::uint8_t v : patch) sum += v, squares += double(v) * v;
        const double n = double(patch.size()), mean = sum / n;
        const double spread = std::sqrt(std::max(0.0, squares / n - mean * mean)) + 8;
        out.resize(patch.size());
        for (size_t i = 0; i < patch.size(); ++i) out[i] = float((patch[i] - mean) / spread);
    }

    // the inputs of every output pixel in a row of their own
    static void gather(const std::vector<float>& in, size_t side, const Layer& layer, std::vector<float>& columns) {
        const long half = long(layer.side / 2), s = long(side), k = long(layer.side), lanes = long(layer.in);
        columns.assign(side / 2 * (side / 2) * size_t(k * k * lanes), 0.0f);
        float* row = columns.data();
        for (long y = 0; y < s; y += 2)
            for (long x = 0; x < s; x += 2, row += k * k * lanes) {
                const long first = std::max(0L, x - half), last = std::min(s, x + half + 1);
                for (long v = std::max(0L, y - half); v < std::min(s, y + half + 1); ++v)
                    std::copy(&in[size_t((v * s + first) * lanes)], &in[size_t((v * s + last - 1) * lanes)] + lanes,
                              row + ((v - y + half) * k + first - x + half) * lanes);
            }
    }

    size_t patch_, points_ = 0;
    std::vector<Layer> layers_;
};

}  // namespace

PYBIND11_MODULE(_engine, m) {
    m.doc() = "Compiled landmarking: dlib's detector and shape predictor, sub-pixel and batched.";
    m.attr("dlib_version") = DLIB_SOURCE_VERSION;  // set by setup.py
    m.def("shrink", &shrink, py::arg("image").noconvert(), py::arg("factor"),
          "Grey image of block means, (H // factor, W // factor) uint8.");
    m.def("warp", &warp, py::arg("image").noconvert(), py::arg("matrix"), py::arg("height"), py::arg("width"),
          "Grey chip whose pixel (x, y) is the image at matrix @ (x, y, 1); black outside.");
    m.def("pack_shape_predictor", &pack_shape_predictor, py::arg("path"),
          "Rewrite a dlib .dat shape predictor as one flat block of bytes.");
    m.def("pack_face_detector", &FaceDetector::pack, "dlib's frontal face detector, ready to read back quickly.");
    py::class_<FaceDetector>(m, "FaceDetector")
        .def(py::init<const std::string&>(), py::arg("packed"))
        .def("detect", &FaceDetector::detect, py::arg("image").noconvert(), py::arg("threshold") = 0.0,
             py::arg("max_levels") = 1000, "Faces as rows of left, top, right, bottom, score, view.");
    py::class_<ShapePredictor>(m, "ShapePredictor")
        .def(py::init<Bytes>(), py::arg("packed").noconvert())
        .def_property_readonly("points", &ShapePredictor::points)
        .def_property_readonly("mean_shape", &ShapePredictor::mean_shape)
        .def("predict", &ShapePredictor::predict, py::arg("image").noconvert(), py::arg("boxes"),
             "Landmarks (K, P, 2) of K boxes (left, top, right, bottom), sub-pixel.")
        .def("align", &ShapePredictor::align, py::arg("image").noconvert(), py::arg("box"), py::arg("jitter"),
             py::arg("mirror"), py::arg("first_box"), py::arg("chip_box"), py::arg("pad"), py::arg("contrast"),
             "Landmarks (2 K, P, 2) of a detected box on the upright face and its mirror image, and that face.");
    py::class_<PatchNetwork>(m, "PatchNetwork")
        .def(py::init<const std::vector<Floats>&, const std::vector<Floats>&, size_t>(), py::arg("weights"),
             py::arg("biases"), py::arg("patch"))
        .def_property_readonly("points", &PatchNetwork::points)
        .def("predict", &PatchNetwork::predict, py::arg("image").noconvert(), py::arg("maps"),
             "Points (N, P, 2), patch pixels, of N patches seen through maps (N, 2, 3) in a grey image.");
}
