// Package train owns the path of one batch, from text that is already tokens to better weights.
//
//  1. Run checks the job, takes up the newest good checkpoint or the starting weights, and emits
//     what follows as events: to the caller, and to log.jsonl.
//  2. Source.Next fills the batch: B rows of T+1 tokens, and where each one's document begins.
//  3. Model.LossGrad runs forward and backward and adds up the gradient of the mean loss, or of what
//     Job.Objective says. Of parameters that are frozen there is none, and nothing moves them.
//  4. The loss and the norm of the gradient are looked at. If either is not a finite number the
//     batch is not applied: the run goes back to the last checkpoint with half the learning rate.
//  5. optim clips, applies the gradient at the rate of the schedule, and clears it.
//  6. Model.UpdateBias moves the routing biases against the load of this step, once; Model.Sync
//     prepares the new weights for the next products.
//  7. When due: bits per byte of the validation text by language, a sample, both of the moving average
//     of the weights if there is one, because that is what is left; and last a checkpoint, so that
//     what a checkpoint says was done was done.
//
// The functions stand in that order in run.go and step.go; checkpoint.go and restore.go hold the
// other way that weights leave and enter; frozen.go what of them when only parts of a model train.
// tokens.go keeps the text of a run, as tokens, beside them.
//
// # Basics
//
// A run is named by its Options, its Source and its starting weights: these give the same bits on
// the same kind of processor at any number of threads, whether or not it was interrupted. How often
// it evaluates or saves changes nothing. There is no random state: everything random is drawn from
// the seed and a counter.
//
// # Caveats
//
// A checkpoint names its options, configuration, data and validation text (those that older programs
// wrote do not name the last, and are taken up with any). A run that continues with others would
// be neither the old nor a new one, so it is refused: start a new run from the checkpoint, which is
// a model directory.
//
// Another kernel tier or kind of processor rounds differently; a run continued there is as good but
// not bit-identical, and says so. EngineFor takes the tier that the run was begun with.
package train
