// Package query answers reports from ClickHouse over gRPC and HTTP.
//
// A report first reads the data version, then which hours are dirty, then its figures: clean hours from the derived tables,
// dirty ones from the rows. So figures hold everything up to the data version that they name, however far the derived
// tables are. Conversions and credit come from one statement, so that total = attributed + other + unattributed + excluded
// holds exactly.
package query
