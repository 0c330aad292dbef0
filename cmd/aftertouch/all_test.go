package main

import (
	"strings"
	"testing"
)

func TestAllNamesEveryFaultOfItsSettings(t *testing.T) {
	status, _, errOut := runLine(t, "all", "--check", "--partitions=0", "--http-addr=nonsense", "--bootstrap-web-key=short",
		"--kafka-sasl-mechanism=magic", "--clickhouse-dsn=nothing", "--events-retention=1s", "--chdb-log-level=loud")
	if status != 1 {
		t.Fatalf("exit %d, want 1", status)
	}
	for _, want := range []string{"partitions", "http-addr", "bootstrap-web-key", "kafka-sasl-mechanism", "clickhouse-dsn", "retention"} {
		if !strings.Contains(errOut, want) {
			t.Errorf("the faults do not name %s:\n%s", want, errOut)
		}
	}
}

func TestDumpHidesSecrets(t *testing.T) {
	t.Setenv("AFTERTOUCH_KAFKA_SASL_PASSWORD", "secret-1")
	_, out, errOut := runLine(t, "all", "--dump", "--bootstrap-admin-key=secret-2-0123456789",
		"--clickhouse-dsn=clickhouse://u:secret-3@h:9000/d", "--kafka-sasl-user=u", "--kafka-sasl-mechanism=plain")
	if strings.Contains(out+errOut, "secret-") {
		t.Errorf("a secret is shown:\n%s%s", out, errOut)
	}
	for _, want := range []string{
		"bootstrap-admin-key: (hidden) # flag", "kafka-sasl-password: (hidden) # environment AFTERTOUCH_KAFKA_SASL_PASSWORD",
		"clickhouse-dsn: clickhouse://u:hidden@h:9000/d # flag", "partitions: 4 # default", "data-dir: data # default",
	} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("the dump lacks %q:\n%s", want, out)
		}
	}
}

func TestAFailureIsToldOnceInTheFormOfTheLog(t *testing.T) {
	missing := []string{"query", "--master-key-file=/nowhere/master.key", "--kafka-brokers=127.0.0.1:1", "--clickhouse-dsn=http://127.0.0.1:1/d"}
	for format, want := range map[string]string{
		"text": "aftertouch: opening master-key-file: ", "json": `"msg":"command failed","error":"opening master-key-file: `,
	} {
		status, _, errOut := runLine(t, append(missing, "--log-format="+format)...)
		if status != 1 || strings.Count(errOut, "master-key-file") != 1 || !strings.Contains(errOut, want) {
			t.Errorf("%s: exit %d, want 1 and once %q:\n%s", format, status, want, errOut)
		}
	}
}
