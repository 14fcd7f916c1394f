// The API as a C++ program meets it: the public headers and the shared library, nothing else. test_cxx
// MODEL_FOLDER
#include <reprise/reprise.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

// Owns a handle by its closing function.
template <auto close> struct Closer {
    template <typename T> void operator()(T *handle) const { close(&handle); }
};
using Device = std::unique_ptr<rp_device, Closer<rp_device_close>>;
using Model = std::unique_ptr<rp_model, Closer<rp_model_close>>;
using Result = std::unique_ptr<rp_result, Closer<rp_result_free>>;
using Encoding = std::unique_ptr<rp_encoding, decltype(&rp_encoding_free)>;

void check(bool good, const std::string &what) {
    if (!good) throw std::runtime_error(what);
}

// The handle that function(args..., &handle, &error) makes.
template <typename Handle, typename Function, typename... Args> Handle make(Function function, Args... args) {
    typename Handle::pointer raw = nullptr;
    rp_error error = {};
    if (function(args..., &raw, &error) != RP_OK) throw std::runtime_error(error.message);
    return Handle(raw);
}

rp_text text_of(const std::string &s) {
    return rp_text{s.data(), s.size()};
}

void classify(rp_model *model, const std::vector<std::string> &texts,
              const std::vector<std::string> &labels) {
    std::vector<rp_input> inputs;
    for (const auto &text : texts) inputs.push_back({text_of(text), {}});
    rp_classify_params params = {};
    auto result = make<Result>(rp_classify, model, inputs.data(), inputs.size(), &params);
    check(rp_result_count(result.get()) == texts.size(), "one entry a text");
    for (size_t i = 0; i < texts.size(); i++) {
        size_t count = 0;
        const rp_label *best = rp_result_labels(result.get(), i, &count);
        check(best && count == 2 && best[0].label == labels[i], texts[i] + " is not " + labels[i]);
        check(best[0].score > 0.5f && std::fabs(best[0].score + best[1].score - 1) < 1e-5f,
              "no probabilities");
        std::printf("%.4f %s: %s\n", best[0].score, best[0].label, texts[i].c_str());
    }
}

// The lower level: token ids in, hidden states out.
void run_tokens(rp_model *model) {
    rp_error error = {};
    Encoding encoding(new rp_encoding{}, [](rp_encoding *e) {
        rp_encoding_free(e);
        delete e;
    });
    std::string text = "a warm and funny film";
    check(rp_tokenize(rp_model_get_tokenizer(model), text_of(text), {}, nullptr, encoding.get(), &error) ==
              RP_OK,
          error.message);
    rp_sequence sequence = {encoding->ids, encoding->type_ids, static_cast<uint32_t>(encoding->count)};
    size_t hidden = rp_model_get_info(model)->hidden_size;
    size_t size = rp_model_output_size(model, &sequence, 1, nullptr);
    check(size == encoding->count * hidden, "no params means the hidden states of every token");
    std::vector<float> plain(size), named(size, -1), mean(hidden);
    rp_run_params params = {};
    params.output = RP_OUTPUT_HIDDEN;
    check(!rp_model_run(model, &sequence, 1, nullptr, plain.data(), size, nullptr, &error), error.message);
    check(!rp_model_run(model, &sequence, 1, &params, named.data(), size, nullptr, &error), error.message);
    check(plain == named, "no params is not the same as their zero value");
    params.output = RP_OUTPUT_MEAN;
    check(!rp_model_run(model, &sequence, 1, &params, mean.data(), hidden, nullptr, &error), error.message);
    for (size_t c = 0; c < hidden; c++) {
        double sum = 0;
        for (size_t t = 0; t < encoding->count; t++) sum += plain[t * hidden + c];
        check(std::fabs(sum / encoding->count - mean[c]) < 1e-4, "the mean is not the mean");
    }
}

void test(const char *folder) {
    auto device = make<Device>(rp_device_open, nullptr);
    auto model = make<Model>(rp_model_open, device.get(), folder, nullptr);
    const std::vector<std::string> texts = {"a warm and funny film", "dull , flat and far too long"};
    classify(model.get(), texts, {"POSITIVE", "NEGATIVE"});
    run_tokens(model.get());
    std::exception_ptr failure;
    std::thread other([&] {
        try {
            classify(model.get(), {texts[1], texts[0]}, {"NEGATIVE", "POSITIVE"});
        } catch (...) {
            failure = std::current_exception();
        }
    });
    classify(model.get(), texts, {"POSITIVE", "NEGATIVE"});
    other.join();
    if (failure) std::rethrow_exception(failure);
    try {
        make<Model>(rp_model_open, device.get(), "/nonexistent", nullptr);
        check(false, "a folder that is not there was opened");
    } catch (const std::runtime_error &error) {
        check(std::strstr(error.what(), "/nonexistent"), error.what());
    }
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    try {
        test(argv[1]);
    } catch (const std::exception &error) {
        std::printf("%s\n", error.what());
        return 1;
    }
    return 0;
}
