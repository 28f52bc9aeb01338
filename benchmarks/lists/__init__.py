"""The lists people open every day, at a thousand and at a million rows.

The same pages and API lists, asked through Django by a consumer officer, a provider officer, an officer of an agency with few
cases, and the operator, first with 1,000 requests and agreements, then with 1,000,000. `list_1m_vs_1k_p95` is the p95 of all
askings at a million rows divided by that at a thousand.
"""
