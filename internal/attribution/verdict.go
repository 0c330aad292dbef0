package attribution

// verdict says whether a touch takes part, decided by its holder from its holder's touches alone; zero is yes. Later
// filters (window, newest 500) belong to each conversion. Lower is stronger where holders of one click disagree.
// The numbers are stored; append only.
type verdict uint8

const (
	takesPart verdict = iota
	isLate
	isInvalid
	isNoConsent
	isNoAgreement
	isNotInForce
	isKindNotCounted
	isUnmeasured
	isNotViewable
	isClickEvidence
	isSameHalfHour
	isCut
	// isNoTouch is the verdict on identify and other events that are no touches.
	isNoTouch
	// isUnknown marks a touch whose hour has not been looked at since it was loaded or changed.
	isUnknown
)

var verdictReasons = [...]string{
	takesPart: "", isLate: ReasonLate, isInvalid: ReasonInvalidTraffic, isNoConsent: ReasonNoConsent,
	isNoAgreement: ReasonNoAgreement, isNotInForce: ReasonNotInForce, isKindNotCounted: ReasonKindNotCounted,
	isUnmeasured: ReasonUnmeasured, isNotViewable: ReasonNotViewable, isClickEvidence: ReasonClickEvidence,
	isSameHalfHour: ReasonSameHalfHour, isCut: ReasonCut,
}

// inGrain reports whether the touch could take part as far as its grain: it is the first of its half hour, or there is one.
func (v verdict) inGrain() bool { return v == takesPart || v == isCut || v == isSameHalfHour }

// reason returns the word for reports and messages; empty when the touch takes part.
func (v verdict) reason() string {
	if int(v) >= len(verdictReasons) {
		panic("BUG: verdict without a reason")
	}
	return verdictReasons[v]
}

// verdictOf is the inverse of reason. A word of a newer version keeps the touch out.
func verdictOf(reason string) verdict {
	for v, r := range verdictReasons {
		if r == reason {
			return verdict(v)
		}
	}
	return isInvalid
}
