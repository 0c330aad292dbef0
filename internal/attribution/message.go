package attribution

import (
	"fmt"
	"strconv"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// send appends a message to another entity. Its id is a function of the cause and the number of the message, so a
// repeated run sends the same.
func (p *Partition) send(sender string, to event.Address, m *aftertouchv1.Message) {
	at := p.rec.Position
	m.Id = sender + "/" + strconv.Itoa(int(at.Epoch)) + "-" + strconv.Itoa(int(at.Partition)) + "-" +
		strconv.FormatInt(at.Offset, 10) + "/" + strconv.Itoa(p.sends)
	m.Sender, m.Position = sender, positionProto(at)
	value, err := event.EncodeMessage(m)
	if err != nil {
		panic(fmt.Sprintf("BUG: encoding a message: %v", err))
	}
	p.out.Messages = append(p.out.Messages, OutMessage{To: to, Value: value})
	p.sends++
}

func positionProto(p event.Position) *aftertouchv1.Position {
	return &aftertouchv1.Position{Epoch: uint32(p.Epoch), Partition: p.Partition, Offset: p.Offset}
}

func positionOf(m *aftertouchv1.Position) event.Position {
	return event.Position{Epoch: uint16(m.GetEpoch()), Partition: m.GetPartition(), Offset: m.GetOffset()}
}
