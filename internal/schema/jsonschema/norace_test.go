//go:build !race

package jsonschema_test

const forgetful = false
