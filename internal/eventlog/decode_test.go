package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// encodedBatches returns what a broker would send for batches of ten records each.
func encodedBatches(t testing.TB, codec kafka.Compression, batches int) []byte {
	t.Helper()
	var out []byte
	for i := range batches {
		b := newBatch(time.Now())
		for j := range 10 {
			b.add(fmt.Appendf(nil, "shop/v:%d", j), fmt.Appendf(nil, "value %d of batch %d", j, i), encodeHeaders(kafka.Header{Key: EpochHeader, Value: []byte(testEpochID)}))
		}
		if err := b.seal(time.UnixMilli(1_700_000_000_000), codec); err != nil {
			t.Fatal(err)
		}
		encoded := b.buf[sizePrefix:]
		binary.BigEndian.PutUint64(encoded, uint64(i*10)) // the broker writes the base offset
		out = append(out, encoded...)
	}
	return out
}

func decoderFrom(from int64) *decoder {
	return &decoder{partition: (&Client{}).Partition(EventsTopic, 1, testEpochID), from: from}
}

func TestDecodingBeginsInsideABatchAndLeavesTheOneCutShort(t *testing.T) {
	data := encodedBatches(t, kafka.Snappy, 3)
	d := decoderFrom(7)
	if err := d.decode(data[:len(data)-1]); err != nil {
		t.Fatal(err)
	}
	if len(d.msgs) != 13 || d.msgs[0].Offset != 7 || d.msgs[12].Offset != 19 {
		t.Fatalf("%d records, from %d", len(d.msgs), d.msgs[0].Offset)
	}
	for _, m := range d.msgs {
		want := fmt.Sprintf("value %d of batch %d", m.Offset%10, m.Offset/10)
		if string(m.Value) != want || m.Time.UnixMilli() != 1_700_000_000_000 || m.Partition != 1 || m.Topic != EventsTopic {
			t.Errorf("record %+v, want value %q", m, want)
		}
	}
}

func TestOtherHeadersAreReadToo(t *testing.T) {
	for _, headers := range [][]kafka.Header{
		nil, {{Key: "a", Value: []byte("1")}, {Key: "b", Value: nil}, {Key: "", Value: []byte{}}}, {{Key: EpochHeader, Value: []byte("other")}},
	} {
		b := newBatch(time.Now())
		b.add(nil, nil, encodeHeaders(headers...))
		if err := b.seal(time.Now(), NoCompression); err != nil {
			t.Fatal(err)
		}
		d := decoderFrom(0)
		if err := d.decode(b.buf[sizePrefix:]); err != nil {
			t.Fatal(err)
		}
		if len(d.msgs) != 1 || len(d.msgs[0].Headers) != len(headers) {
			t.Fatalf("decoded %+v, want headers %v", d.msgs, headers)
		}
		for i, h := range d.msgs[0].Headers {
			if h.Key != headers[i].Key || string(h.Value) != string(headers[i].Value) {
				t.Errorf("header %d is %v, want %v", i, h, headers[i])
			}
		}
	}
}

func TestChangedBytesAreNoticed(t *testing.T) {
	for _, codec := range []kafka.Compression{NoCompression, kafka.Snappy} {
		data := encodedBatches(t, codec, 1)
		for i := 16; i < len(data); i++ { // offset, length and leader epoch are the broker's to write
			changed := bytes.Clone(data)
			changed[i] ^= 0x10
			if err := decoderFrom(0).decode(changed); !errors.Is(err, errCorrupt) {
				t.Fatalf("codec %d, byte %d: %v, want errCorrupt", codec, i, err)
			}
		}
	}
}

// TestNonsenseIsAnError changes batches whose checksum is right, as a faulty producer would: decoding ends, with or without an error.
func TestNonsenseIsAnError(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	failed := 0
	original := encodedBatches(t, NoCompression, 1)
	for range 20_000 {
		data := bytes.Clone(original)
		for range 1 + rnd.IntN(3) {
			data[rnd.IntN(len(data))] = byte(rnd.UintN(256))
		}
		binary.BigEndian.PutUint32(data[offCRC-sizePrefix:], crc32.Checksum(data[offAttributes-sizePrefix:], castagnoli))
		if err := decoderFrom(0).decode(data); err != nil {
			failed++
		}
	}
	if failed < 1000 {
		t.Errorf("%d of 20000 changed batches failed", failed)
	}
}

func TestFetchAnswersThatAreCutShortAreErrors(t *testing.T) {
	whole := []byte{0, 0, 0, 0} // throttle time
	whole = append(whole, 0, 0, 0, 0, 0, 0)
	whole = append(whole, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	whole = binary.BigEndian.AppendUint64(whole, 42)
	whole = append(whole, make([]byte, 16)...)              // last stable and log start offset
	whole = append(whole, 0xff, 0xff, 0xff, 0xff)           // no aborted transactions
	whole = append(whole, 0, 0, 0, 0, 0, 0, 0, 2, 'h', 'i') // replica, records
	res, err := decodeFetch(&wire{b: whole}, 11)
	if err != nil || res.highWatermark != 42 || string(res.records) != "hi" {
		t.Fatalf("decoded %+v, %v", res, err)
	}
	for n := range whole {
		if _, err := decodeFetch(&wire{b: whole[:n]}, 11); !errors.Is(err, errCorrupt) {
			t.Errorf("%d of %d bytes: %v, want errCorrupt", n, len(whole), err)
		}
	}
}
