// Package bench measures the speed of this program: training, decoding, prefill, tokenizer, kernels.
//
// In: an engine, and a model or a preset. Out: Results, each the best and the median of repeated
// runs with its share of what the machine can do, measured in the same minute.
// The best says what the program can do, the median what else ran on the machine.
package bench
