//go:build race

package app_test

// stormSeeds is less under the race detector, which makes a storm six times as
// long.
const stormSeeds = 6
