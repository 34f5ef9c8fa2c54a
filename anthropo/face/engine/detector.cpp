#include "detector.hpp"

#include <dlib/image_processing/frontal_face_detector.h>

#include <algorithm>
#include <cstring>
#include <sstream>
#include <vector>

#include "images.hpp"

namespace anthropo {

namespace {

using Scanner = dlib::scan_fhog_pyramid<dlib::pyramid_down<6>>;
using Planes = dlib::array<dlib::array2d<float>>;  // the features of one pyramid level

struct View {  // the filters of one view of a face
    double threshold = 0;
    std::vector<dlib::matrix<float>> whole;  // dlib keeps them; only their separable parts are used
    std::vector<std::vector<dlib::matrix<float, 0, 1>>> rows, cols;
};

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

}  // namespace

struct FaceDetector::Filters {
    Scanner scanner;
    dlib::test_box_overlap overlap;
    std::vector<View> views;

    explicit Filters(const std::string& packed) {
        // version 1, and no features of an image: dlib ends the process over a damaged number of these
        require(packed.compare(0, 6, std::string("\1\1\1\0\1\0", 6)) == 0, "bad beginning");
        std::istringstream in(packed);
        dlib::deserialize(scanner, in);
        dlib::deserialize(overlap, in);
        unsigned long n = 0;
        dlib::deserialize(n, in);
        require(n >= 1 && n <= 64, "bad count");
        views.resize(n);
        for (View& view : views) {
            dlib::deserialize(view.threshold, in);
            dlib::deserialize(view.whole, in);
            dlib::deserialize(view.rows, in);
            dlib::deserialize(view.cols, in);
            view.whole.clear();
        }
        require(in.peek() == std::istream::traits_type::eof(), "bytes behind its end");
        check();
    }

    long height() const { return long(scanner.get_fhog_window_height()); }
    long width() const { return long(scanner.get_fhog_window_width()); }

    // a damaged length must not become a wild read
    void check() const {
        const auto within = [](unsigned long n, unsigned long least, unsigned long most) {
            require(n >= least && n <= most, "bad sizes");
        };
        within(scanner.get_detection_window_width(), 1, 4096);
        within(scanner.get_detection_window_height(), 1, 4096);
        within(scanner.get_cell_size(), 1, 64);
        within(scanner.get_padding(), 0, 64);
        within(scanner.get_min_pyramid_layer_width(), 1, 1 << 20);
        within(scanner.get_min_pyramid_layer_height(), 1, 1 << 20);
        within(scanner.get_max_pyramid_levels(), 1, 1 << 20);
        within(std::min(height(), width()), 2 * scanner.get_padding() + 1, 4096);
        const size_t planes = scanner.get_feature_extractor().get_num_planes();
        for (const View& view : views) {
            require_finite(&view.threshold, 1, "bad threshold");
            require(view.rows.size() == planes && view.cols.size() == planes, "bad number of filters");
            for (size_t p = 0; p < planes; ++p) {
                require(view.rows[p].size() == view.cols[p].size(), "bad number of filters");
                for (size_t t = 0; t < view.rows[p].size(); ++t) {
                    const auto &row = view.rows[p][t], &col = view.cols[p][t];
                    require(row.size() == width() && col.size() == height(), "bad length of a filter");
                    require_finite(row.begin(), size_t(row.size()), "bad filter");
                    require_finite(col.begin(), size_t(col.size()), "bad filter");
                }
            }
        }
    }

    template <typename Pixel>
    void pyramid(const Image& im, dlib::array<Planes>& levels, unsigned long max_levels) const {
        dlib::array2d<Pixel> img(im.rows, im.cols);
        static_assert(sizeof(dlib::rgb_pixel) == 3, "rgb_pixel must be packed");
        std::memcpy(&img[0][0], im.data, size_t(im.rows) * im.cols * sizeof(Pixel));
        dlib::impl::create_fhog_pyramid<dlib::pyramid_down<6>>(
            img, scanner.get_feature_extractor(), levels, int(scanner.get_cell_size()), int(height()), int(width()),
            scanner.get_min_pyramid_layer_width(), scanner.get_min_pyramid_layer_height(),
            std::min(max_levels, scanner.get_max_pyramid_levels()));
    }

    // Adds every window of one pyramid level that one view's filters score above the threshold.
    void scan(const Planes& feats, unsigned long level, unsigned long index, double threshold,
              std::vector<dlib::rect_detection>& out) const {
        const View& view = views[index];
        const long rows = feats[0].nr(), cols = feats[0].nc(), height = this->height(), width = this->width();
        if (rows < height || cols < width) return;
        const long n = rows * cols, across = n - (width - 1), down = across - (height - 1) * cols;
        std::vector<float> scratch(n), score(n, 0.0f);
        for (unsigned long p = 0; p < view.rows.size(); ++p)
            for (unsigned long t = 0; t < view.rows[p].size(); ++t) {
                // rows laid end to end: sums that run over a row's end land where no window fits
                correlate(&feats[p][0][0], across, &view.rows[p][t](0), width, 1, scratch.data(), false);
                correlate(scratch.data(), down, &view.cols[p][t](0), height, cols, score.data(), true);
            }
        const long padding = long(scanner.get_padding());
        dlib::pyramid_down<6> pyramid;
        for (long r = 0; r + height <= rows; ++r)
            for (long c = 0; c + width <= cols; ++c) {
                const double excess = double(score[r * cols + c]) - view.threshold;
                if (!(excess >= threshold)) continue;
                const dlib::point centre(c + width / 2, r + height / 2);
                const dlib::rectangle cells = dlib::centered_rect(centre, height - 2 * padding, width - 2 * padding);
                dlib::rect_detection d;
                d.detection_confidence = excess;
                d.weight_index = index;
                d.rect = pyramid.rect_up(
                    scanner.get_feature_extractor().feats_to_image(cells, int(scanner.get_cell_size()), int(height),
                                                                   int(width)),
                    level);
                out.push_back(d);
            }
    }
};

py::bytes FaceDetector::pack() {
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
            const double threshold = w.w(w.w.size() - 1);
            dlib::serialize(threshold, out);
            dlib::serialize(w.get_detect_argument().filters, out);
            dlib::serialize(w.get_detect_argument().row_filters, out);
            dlib::serialize(w.get_detect_argument().col_filters, out);
        }
    }
    return py::bytes(out.str());
}

FaceDetector::FaceDetector(const std::string& packed) {
    try {
        filters_ = std::make_shared<const Filters>(packed);
    } catch (const std::exception& e) {  // also bad_alloc and length_error from a damaged size
        throw std::invalid_argument(std::string("not a packed face detector: ") + e.what());
    }
}

py::array_t<double> FaceDetector::detect(const Bytes& image, double threshold, unsigned long max_levels) const {
    const Image im(image);
    require(max_levels >= 1, "max_levels must be at least 1");
    std::vector<dlib::rect_detection> found;
    {
        py::gil_scoped_release nogil;
        dlib::array<Planes> levels;
        if (im.channels == 1)
            filters_->pyramid<unsigned char>(im, levels, max_levels);
        else
            filters_->pyramid<dlib::rgb_pixel>(im, levels, max_levels);
        std::vector<dlib::rect_detection> all;
        for (unsigned long level = 0; level < levels.size(); ++level)
            for (unsigned long view = 0; view < filters_->views.size(); ++view)
                filters_->scan(levels[level], level, view, threshold, all);
        // non-maximum suppression over all views, best first, as dlib does it
        std::sort(all.rbegin(), all.rend());
        for (const auto& d : all) {
            bool hidden = false;
            for (const auto& k : found) hidden = hidden || filters_->overlap(k.rect, d.rect);
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

}  // namespace anthropo
