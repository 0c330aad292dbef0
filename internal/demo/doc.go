// Package demo makes a small world whose truth is known, sends it through the real interfaces of a running Aftertouch, and
// prints what Aftertouch measured beside what is true.
//
// The world is a function of its seed: who sees which creator's post, who clicks, who buys and why. Because the generator
// decides why a person buys, it knows what no measurement can know: the purchases that each creator caused.
package demo
