package signature

// Unverified returns a Verifier that accepts every request, whatever it
// carries; the one id that it has for metrics is "none". NewVerifier makes no
// such thing of any scheme: who calls this has asked the operator, in so many
// words, whether nothing shall be verified (config.Config.Verifier).
func Unverified() *Verifier { return &Verifier{open: true, ids: []string{"none"}} }
