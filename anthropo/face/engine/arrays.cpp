#include "arrays.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace anthropo {

namespace {

// Compilers may rely on numbers lying where their type wants them, which numpy does not promise.
constexpr int PLAIN = py::array::c_style | py::array::forcecast | py::detail::npy_api::NPY_ARRAY_ALIGNED_;

// an array of doubles in C order; strings, objects, booleans, dates and complex numbers are refused
py::array_t<double, PLAIN> real(const py::array& array, const std::string& name) {
    const char kind = array.dtype().kind();
    if (kind != 'f' && kind != 'i' && kind != 'u') throw py::type_error(name + " must be an array of real numbers");
    py::array_t<double, PLAIN> out(array);
    for (py::ssize_t i = 0; i < out.size(); ++i) require(sane(out.data()[i]), name + " must be finite");
    return out;
}

std::string shape_text(std::initializer_list<long> lengths) {
    std::string text;
    for (long n : lengths) text += (text.empty() ? "" : ", ") + (n == ANY ? std::string("N") : std::to_string(n));
    return "(" + text + (lengths.size() == 1 ? ",)" : ")");
}

}  // namespace

HOT bool all_within(const float* values, size_t n, float limit) {
    // whole numbers, not truth values: of these a compiler takes many at once, which is five times as fast
    std::uint32_t beyond = 0;
    for (size_t i = 0; i < n; ++i) beyond |= std::uint32_t(!(std::abs(values[i]) < limit));
    return beyond == 0;
}

size_t times(size_t a, size_t b) {
    require(b == 0 || a <= std::numeric_limits<size_t>::max() / b, "sizes beyond what can be counted");
    return a * b;
}

size_t plus(size_t a, size_t b) {
    require(a <= std::numeric_limits<size_t>::max() - b, "sizes beyond what can be counted");
    return a + b;
}

std::vector<double> numbers(const py::array& array, std::initializer_list<long> lengths, const std::string& name) {
    bool fits = array.ndim() == py::ssize_t(lengths.size());
    py::ssize_t i = 0;
    for (long n : lengths) {
        fits = fits && (n == ANY || array.shape(i) == n);
        ++i;
    }
    require(fits, name + " must have shape " + shape_text(lengths));
    i = 0;
    for (long n : lengths) {
        require(n != ANY || array.shape(i) <= MOST_ROWS, name + " may have 10,000 rows at most");
        ++i;
    }
    const auto values = real(array, name);
    return std::vector<double>(values.data(), values.data() + values.size());
}

std::vector<float> floats(const py::array& array, const std::string& name) {
    require(array.size() <= (1 << 26), name + " must be smaller");
    if (py::isinstance<py::array_t<float>>(array)) {  // the usual case, without a detour
        const py::array_t<float, PLAIN> same(array);
        require(all_within(same.data(), size_t(same.size()), float(LARGEST)), name + " must be finite");
        return std::vector<float>(same.data(), same.data() + same.size());
    }
    const auto values = real(array, name);
    return std::vector<float>(values.data(), values.data() + values.size());
}

}  // namespace anthropo
