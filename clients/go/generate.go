package main

// The stubs of protos/ go into argosy/ and inference/, where their go_package option places them in this module.
//go:generate sh generate.sh
