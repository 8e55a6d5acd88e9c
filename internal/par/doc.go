// Package par is the fork-join pool that every parallel loop of the engine runs on.
//
// In: a Task and a count n. Out: Do(worker, i) was called once for every i in [0,n), by at most
// Threads() goroutines at a time. Which worker takes which i is not fixed, so a Task writes each
// output element from exactly one i and results do not depend on the number of threads.
package par
