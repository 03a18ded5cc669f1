//go:build race

package jsonschema_test

// forgetful: under the race detector a sync.Pool drops some of what it is given.
const forgetful = true
