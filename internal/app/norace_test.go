//go:build !race

package app_test

// stormSeeds is how many storms the ordinary tests see.
const stormSeeds = 24
