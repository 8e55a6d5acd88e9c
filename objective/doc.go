// Package objective holds the losses of post-training as model.Objective: the policy gradients of the GRPO
// family, direct preference optimisation, and the divergence from teachers.
//
// In: a batch whose targets are the tokens of answers (−1 elsewhere), and what is known of every position:
// log-probabilities of before, advantages, teachers. Out: for each position its term of the loss and the
// gradient with respect to its logits, and afterwards statistics of the batch. Losses are sums over
// positions with weights that hold all the means, so a batch is a whole step.
//
// # Reading order
//
// answers.go which sequence a position belongs to; policy.go the GRPO family, stats.go what it tells;
// dpo.go pairs; kl.go teachers with all logits, topk.go with the largest few, teacher.go teachers that are
// models.
//
// # Caveats
//
// An objective serves one batch. DPO, and V32 after the first update, need the log-probabilities that the
// model gives now (Model.LogProbs): their weights depend on whole sequences, which a row does not see.
package objective
