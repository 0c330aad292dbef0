package event

import "strings"

// currencies are the codes of ISO 4217 in use (list one, without funds, metals and testing codes), and those withdrawn
// since 2015 that history may hold.
const currencies = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BYR BZD " +
	"CAD CDF CHF CLF CLP CNY COP CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD " +
	"HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD " +
	"MAD MDL MGA MKD MMK MNT MOP MRO MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG " +
	"QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STD STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS " +
	"UAH UGX USD UYU UZS VED VEF VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG ZWL"

var knownCurrencies = currencySet()

// currencySet is indexed by the three letters, so that looking one up costs nothing in the hot path.
func currencySet() (set [26 * 26 * 26]bool) {
	for _, code := range strings.Fields(currencies) {
		set[currencyIndex(code)] = true
	}
	return set
}

func currencyIndex(code string) int {
	return (int(code[0]-'A')*26+int(code[1]-'A'))*26 + int(code[2]-'A')
}

// IsCurrency reports whether code is an upper-case code of ISO 4217.
func IsCurrency(code string) bool {
	if len(code) != 3 {
		return false
	}
	for i := range 3 {
		if code[i] < 'A' || code[i] > 'Z' {
			return false
		}
	}
	return knownCurrencies[currencyIndex(code)]
}

// MaxValueMinor is the largest value of a conversion or item, in minor units: more than anybody pays in any currency, and so
// little that thousands of them add up without leaving 64 bits. Web keys are public, and one value must not spoil all sums.
const MaxValueMinor = 1_000_000_000_000_000

// checkMoney returns the currency upper-cased.
func checkMoney(valueMinor int64, currency string) (string, *Refusal) {
	if valueMinor < 0 {
		return "", refuse(NegativeValue, "value_minor is negative; send a refund as an adjustment")
	}
	if valueMinor > MaxValueMinor {
		return "", refuse(Malformed, "value_minor is over %d; it is in minor units of the currency", int64(MaxValueMinor))
	}
	if currency == "" {
		if valueMinor != 0 {
			return "", refuse(MissingCurrency, "value_minor needs a currency, such as EUR")
		}
		return "", nil
	}
	if !IsCurrency(currency) {
		if currency = strings.ToUpper(currency); !IsCurrency(currency) {
			return "", refuse(UnknownCurrency, "currency is not a code of ISO 4217")
		}
	}
	return currency, nil
}
